"""Questions made of a table, and how a simulation is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.donation.in_process import clients_task, people

from sfumato.donation.clients import make_donations
from sfumato.donation.messages import Report
from sfumato.donation.records import CategoryQuestion, NumberQuestion, RecordCodec
from sfumato.donation.simulation import (
    LocalServers,
    SimulationSettings,
    local_servers,
    questions_of_table,
    simulate_round,
)
from sfumato.donation.simulation.donor_pool import send_all
from sfumato.errors import DataError, EngineError, PlanError, SchemaError
from sfumato.table import Hierarchy, Schema

TABLE = pl.DataFrame(
    {
        "name": ["a", "b", "c", "d"],
        "age": [34, 51, None, 70],
        "region": ["North", "South", "South", "North"],
        "sex": ["f", "m", "m", "f"],
        "bmi": [22.25, 31.5, 27.0, 24.75],
        "sick": [True, False, False, True],
        "smoker": ["no", None, "no", "yes"],
        "country": ["X", "X", "X", "X"],
    }
)
SCHEMA = Schema(
    identifiers=["name"],
    quasi_identifiers={
        "age": Hierarchy.bands([10, 20], top=None),
        "region": Hierarchy.mapping({"North": "any", "South": "any", "East": "any"}),
        "sex": None,
    },
    sensitive=["bmi", "sick"],
    other=["smoker", "country"],
    person="name",
)


def test_questions_follow_from_schema_and_table():
    found = questions_of_table(TABLE, SCHEMA)
    age, region, sex = found.quasi_identifiers
    assert (age.range.minimum, age.range.maximum, age.missing) == (34, 70, True)
    assert region.choices is None  # its hierarchy lists them
    assert "East" in region.hierarchy.leaves
    assert sex.choices == ("f", "m")
    bmi, sick, smoker, country = found.sensitive
    assert isinstance(bmi, NumberQuestion)
    assert (bmi.range.resolution, bmi.range.minimum) == (Decimal("0.01"), Decimal("22.25"))
    assert isinstance(sick, CategoryQuestion)
    assert sick.choices == ("false", "true")
    assert smoker.missing
    assert country.choices == ("X", "(other)")
    assert found.left_out == ("name",)
    assert found.read_off == ("age", "sex", "bmi", "sick", "smoker", "country")
    assert "region" not in " ".join(found.describe())


def test_every_row_can_be_answered_and_comes_back():
    found = questions_of_table(TABLE, SCHEMA)
    codec = RecordCodec.of(found.quasi_identifiers, found.sensitive, found.record_bytes)
    back = codec.decode(codec.encode(TABLE.select(found.columns)))
    assert back["age"].to_list() == TABLE["age"].to_list()
    assert back["bmi"].to_list() == TABLE["bmi"].to_list()
    assert back["sick"].to_list() == ["true", "false", "false", "true"]
    assert back["smoker"].to_list() == TABLE["smoker"].to_list()


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.decimals(-5000, 5000, places=3, allow_nan=False).map(float), min_size=1, max_size=20
    )
)
def test_a_range_that_is_read_off_holds_every_number(numbers):
    table = pl.DataFrame({"q": ["a", "b"] * len(numbers), "x": numbers * 2})
    found = questions_of_table(table, Schema(quasi_identifiers=["q"], sensitive=["x"]))
    question = found.sensitive[0]
    back = question.values(question.codes(table["x"]))
    assert back.cast(pl.Float64).to_list() == pytest.approx(numbers * 2, abs=1e-9)


def test_what_no_task_can_be_made_of_is_refused():
    with pytest.raises(SchemaError, match="needs a quasi-identifier"):
        questions_of_table(TABLE, Schema(rest="other"))
    numbers = Schema(quasi_identifiers=["age"], rest="other")
    with pytest.raises(SchemaError, match="'age': a quasi-identifier of numbers needs a hierarchy"):
        questions_of_table(TABLE, numbers)
    infinite = pl.DataFrame({"q": ["a", "b"], "x": [1.0, float("inf")]})
    with pytest.raises(DataError, match="not finite"):
        questions_of_table(infinite, Schema(quasi_identifiers=["q"], sensitive=["x"]))


def test_a_round_of_too_few_donors_is_refused_before_anything_is_started(tmp_path):
    with pytest.raises(PlanError, match="needs 1,000 donors, and there are 4"):
        simulate_round(TABLE, SCHEMA, SimulationSettings(k=5), folder=tmp_path)
    with pytest.raises(DataError, match="9 are asked for, and the table has 4"):
        simulate_round(TABLE, SCHEMA, SimulationSettings(k=2, donors=9), folder=tmp_path)
    whole = SimulationSettings(k=250, k_of="file", deletion_share=0.7)  # seven tenths, no float
    assert (whole.donors_alike, whole.least_donors) == (834, 8340)
    with pytest.raises(PlanError, match="needs 8,340 donors, and there are 4"):
        simulate_round(TABLE, SCHEMA, whole, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_report_reaches_every_server_once():
    parties, _ = clients_task()
    reports = make_donations(parties.task, people(7), 0)
    put: list[tuple[int, bytes]] = []

    class Way:
        def put(self, server: int, report: Report) -> None:
            put.append((server, report.report_id))

    ways = [[Way()] * 3, [Way()] * 3]
    with ThreadPoolExecutor(6) as pool:
        send_all(ways, reports, pool)
    wanted = {(server, report.report_id) for server in range(3) for report in reports}
    assert len(put) == len(wanted)
    assert set(put) == wanted


def test_a_server_that_does_not_start_is_told_with_its_own_words(tmp_path, monkeypatch):
    monkeypatch.setattr(local_servers, "_PROGRAM", "import sys; sys.exit('the port is taken')")
    parties, _ = clients_task()
    servers = LocalServers(tmp_path, parties.signers[0].verifying_key)
    names = set(type(parties.task).model_fields) - {"servers"}
    signed = servers.agree_on({name: getattr(parties.task, name) for name in names})
    assert signed.configuration.servers[1].name == "Organisation 1"
    with pytest.raises(EngineError, match="has ended: the port is taken"), servers:
        pytest.fail("it started")
