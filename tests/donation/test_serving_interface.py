"""The described interface against the served one, by schemathesis where it is installed."""

from pathlib import Path

import pytest
from tests.donation.tasks import make_parties

from sfumato.donation.messages.report import MEDIA_TYPE
from sfumato.donation.serving import DonationApplication, Ingest, Limits
from sfumato.donation.storage import open_store


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the tool and its client
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """But for one check: it holds every body of the right media type for a valid one.

    A report is valid if it opens, which no schema can say; what is not is refused with 400.
    """
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import CHECKS, load_all_checks

    @schemathesis.serializer(MEDIA_TYPE)
    def raw(_: object, value: object) -> bytes:
        data = getattr(value, "data", value)
        return data if isinstance(data, bytes) else str(data).encode()

    parties = make_parties()
    store = open_store(tmp_path, parties.task.task_id)
    ingest = Ingest(parties.signed, 0, parties.envelopes[0], parties.signers[0], store)
    application = DonationApplication(ingest, Limits(requests_per_second=None))
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", application)
    load_all_checks()
    left_out = [CHECKS.get_one("positive_data_acceptance")]
    asked = []
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=30,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        def check(case) -> None:
            case.call_and_validate(excluded_checks=left_out)

        check()
        asked.append(operation.label)
    assert len(asked) == 5
    store.close()
