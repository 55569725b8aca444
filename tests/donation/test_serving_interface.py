"""The described interface against the served one, by schemathesis where it is installed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.donation.tasks import make_parties

from sfumato.donation.messages.report import MEDIA_TYPE
from sfumato.donation.serving import DonationApplication, Ingest, Limits
from sfumato.donation.serving.description import describe_interface, describe_rounds
from sfumato.donation.serving.problems import PROBLEMS
from sfumato.donation.storage import open_store

A_REPORT = "A REPORT"
"""Stands for a report's bytes in a description, which is JSON."""

Operation = tuple[str, int]


def explore(
    application: Any,
    interface: dict[str, Any],
    report: bytes,
    *,
    examples: int = 1,
    phases: tuple[str, ...] = ("examples", "coverage"),
) -> tuple[set[Operation], list[str]]:
    """Ask an application whatever its description gives rise to.

    One check is left out: it holds every body of the right media type for a valid one. A report is
    valid if it opens, and an order if it is signed, which no schema can say.

    Returns
    -------
    tuple
        Each operation with each status that it gave, and what was found to be wrong.
    """
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import events, from_schema

    @schemathesis.serializer(MEDIA_TYPE)
    def raw(_: object, value: object) -> bytes:
        data = getattr(value, "data", value)
        if data == A_REPORT:
            return report
        return data if isinstance(data, bytes) else str(data).encode()

    every = ("examples", "coverage", "fuzzing", "stateful")
    config = SchemathesisConfig.from_dict(
        {
            "seed": 7,
            "generation": {"max-examples": examples, "deterministic": True},
            "phases": {name: {"enabled": name in phases} for name in every},
            "checks": {"positive_data_acceptance": {"enabled": False}},
        }
    )
    schema = schemathesis.openapi.from_dict(interface, config=config)
    schema.app = application
    answered: Counter[Operation] = Counter()
    wrong: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(repr(event))
        if not isinstance(event, events.ScenarioFinished):
            continue
        found = event.recorder
        for case, interaction in found.interactions.items():
            assert interaction.response is not None
            label = found.cases[case].value.operation.label
            answered[label, interaction.response.status_code] += 1
        for checks in found.checks.values():
            wrong += [
                f"{found.label}: {check.name}: {check.failure_info and check.failure_info.failure}"
                for check in checks
                if check.status.value not in {"success", "skip"}
            ]
    return set(answered), wrong


def with_example(interface: dict[str, Any], report_id: bytes) -> dict[str, Any]:
    """Return a description that also has a valid report to offer."""
    made: dict[str, Any] = json.loads(json.dumps(interface))
    put = made["paths"]["/v1/tasks/{task}/reports/{report}"]["put"]
    put["requestBody"]["content"][MEDIA_TYPE]["example"] = A_REPORT
    put["parameters"][1]["example"] = report_id.hex()
    return made


def test_every_problem_is_described_where_it_can_happen() -> None:
    interface = describe_interface("ab" * 32, 1000)
    paths = {**interface["paths"], **describe_rounds("ab" * 32, ["OPEN"])}
    told: set[str] = set()
    names = []
    for methods in paths.values():
        for operation in methods.values():
            names.append(operation["operationId"])
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    codes = content["schema"].get("properties", {}).get("code", {}).get("enum", [])
                    assert {PROBLEMS[code][0] for code in codes} <= {int(status)}
                    told |= set(codes)
    assert len(set(names)) == len(names)
    assert told == set(PROBLEMS) - {"method-not-allowed"}  # of methods that are not described


@pytest.mark.parametrize(
    ("examples", "phases"),
    [
        # the quick one is among the rounds, whose application answers all of this too
        pytest.param(12, ("examples", "coverage", "fuzzing"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore")  # those of the tool and its client
def test_schemathesis_finds_nothing(tmp_path: Path, examples: int, phases: tuple[str, ...]) -> None:
    parties = make_parties(tokens=False)
    store = open_store(tmp_path, parties.task.task_id)
    ingest = Ingest(parties.signed, 0, parties.envelopes[0], parties.signers[0], store)
    application = DonationApplication(ingest, Limits(requests_per_second=0))
    report = parties.report()
    at = parties.task.layout.id_at
    interface = json.loads(application._interface)
    answered, wrong = explore(
        application,
        with_example(interface, report[at : at + 16]),
        report,
        examples=examples,
        phases=phases,
    )
    store.close()
    assert not wrong, wrong[0]
    assert {name for name, _ in answered} == {
        f"{method.upper()} {path}"
        for path, methods in interface["paths"].items()
        for method in methods
    }
    put = "PUT /v1/tasks/{task}/reports/{report}"
    assert {status for name, status in answered if name == put} >= {200, 201, 404, 405, 415}
