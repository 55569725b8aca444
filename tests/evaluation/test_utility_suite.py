import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.errors import DataError, PlanError
from sfumato.evaluation.utility import Utility, UtilitySettings, UtilityTables, utility
from sfumato.evaluation.utility.queries import answer_queries
from sfumato.table import Hierarchy, Schema

DATA = Path(__file__).parents[1] / "data"
REST = Schema(rest="other")
QUICK = UtilitySettings(
    propensity=("logistic-regression",),
    models=("logistic-regression",),
    range_queries=20,
    bootstrap=20,
    three_way=10,
)


def heart():
    table = pl.read_parquet(DATA / "heart_sample.parquet").sample(fraction=1, shuffle=True, seed=1)
    return table.select(
        "Sex",
        "AgeCategory",
        "BMI",
        "HeightInMeters",
        "GeneralHealth",
        "HadAngina",
        "HadHeartAttack",
    )


def run(released, real, control, schema=REST, **options):
    return utility(released, real, control, schema, **{"settings": QUICK, **options})


def round_trip(found):
    return Utility.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))


# --- the whole -------------------------------------------------------------------------------


def test_fresh_people_are_as_good_as_the_control_and_a_shuffled_table_is_not():
    table = heart()
    schema = Schema(quasi_identifiers=["Sex", "AgeCategory"], target="HadHeartAttack", rest="other")
    real, control, fresh = table[:1300], table[1300:2600], table[2600:3900]
    shuffled = fresh.select(
        pl.col(name).shuffle(seed=number) for number, name in enumerate(fresh.columns)
    )
    asked = QUICK.model_copy(
        update={"formula": "HeightInMeters ~ Sex + HadAngina", "propensity": ("decision-tree",)}
    )
    good, bad = (
        run(one, real, control, schema, target="HadHeartAttack", settings=asked).figures
        for one in (fresh, shuffled)
    )
    assert good.keys() == bad.keys()
    assert (
        good["marginals/2_way/excess"].interval[0] < 0 < good["marginals/2_way/excess"].interval[1]
    )
    assert bad["marginals/1_way/excess"].value < 0.02
    assert bad["marginals/2_way/excess"].value > 3 * abs(good["marginals/2_way/excess"].value)
    # control is what other people show: a fresh sample is about as far
    for key in ("associations/mixed", "propensity/decision-tree/ratio", "groups/Sex/mean"):
        assert good[key].value < 1.6 * good[key].control
    assert bad["associations/mixed"].value > 2 * bad["associations/mixed"].control
    assert bad["propensity/decision-tree/auc"].interval[0] > 0.55
    assert bad["learning/logistic-regression/auc/difference"].interval[1] < 0
    assert good["learning/logistic-regression/auc/difference"].interval[0] > -0.12
    assert bad["regression/interval_overlap"].value < 0.5
    assert good["regression/interval_overlap"].value > 0.5


def test_it_writes_itself_and_gives_the_same_answer_again():
    table = heart()
    schema = Schema(quasi_identifiers=["Sex"], target="HadHeartAttack", rest="other")
    told = []
    found = run(
        table[:600],
        table[600:1200],
        table[1200:1700],
        schema,
        target="HadHeartAttack",
        settings=QUICK.model_copy(update={"queries": ("SELECT avg(BMI) FROM t",)}),
        progress=lambda task, done, total: told.append(task),
    )
    assert round_trip(found) == found
    again = run(
        table[:600],
        table[600:1200],
        table[1200:1700],
        schema,
        target="HadHeartAttack",
        settings=QUICK.model_copy(update={"queries": ("SELECT avg(BMI) FROM t",)}),
    )
    assert again.figures == found.figures
    assert any("marginals" in task for task in told)
    with pytest.raises(DataError, match="no Utility"):
        Utility.from_dict({"rows": "many"})


def test_a_generalized_release_is_measured_in_the_words_of_the_source():
    table = heart()
    bands = Hierarchy.intervals([18.5, 25, 30, 40])
    schema = Schema(
        quasi_identifiers={"BMI": bands, "Sex": None}, target="HadHeartAttack", rest="other"
    )
    real, control = table[:1500], table[1500:3000]
    generalize = lambda rows: rows.with_columns(bands.generalize(rows["BMI"], 1))  # noqa: E731
    released = generalize(real).with_columns(
        Sex=pl.when(pl.int_range(pl.len()) < 150).then(pl.lit("*")).otherwise("Sex")
    )
    found = run(
        released,
        real,
        control,
        schema,
        target="HadHeartAttack",
        control_as_released=generalize(control),
    )
    assert found.spelled_out == ("BMI",)
    by_name = {one.columns[0]: one for one in found.marginals.one_way}
    assert by_name["Sex"].value == pytest.approx(0.1)  # the stars
    assert by_name["HeightInMeters"].value == 0.0
    assert by_name["HadAngina"].value == 0.0
    assert 0.02 < by_name["BMI"].value < 0.4
    assert found.figures["learning/logistic-regression/auc/released"].value > 0.7
    # written as the release is, only the stars are seen
    same = run(released, generalize(real), generalize(control), schema, target="HadHeartAttack")
    by_name = {one.columns[0]: one.value for one in same.marginals.one_way}
    assert by_name["BMI"] == 0.0
    assert by_name["Sex"] == pytest.approx(0.1)


def test_lost_columns_and_identifiers():
    table = heart().with_columns(name=pl.int_range(pl.len()).cast(pl.String))
    schema = Schema(identifiers=["name"], target="HadHeartAttack", rest="other")
    found = run(
        table[:300].drop("BMI", "HadHeartAttack"),
        table[300:600],
        table[600:900],
        schema,
        target="HadHeartAttack",
        settings=QUICK.model_copy(update={"formula": "HadHeartAttack ~ BMI"}),
    )
    assert found.lost == ("BMI", "HadHeartAttack")
    assert "no target" in found.figures["learning/difference"].because
    assert "does not have" in found.figures["regression/sign_agreement"].because
    assert "name" not in {name for one in found.marginals.one_way for name in one.columns}


def test_only_the_parts_that_were_asked_for():
    table = pl.DataFrame({"a": [1, 2] * 30})
    found = run(table, table, None, settings=UtilitySettings(parts=("rare", "associations")))
    assert found.marginals is None
    assert found.seconds_cpu.keys() == {"rare", "associations"}
    assert found.associations is not None


def test_settings_refuse_what_they_do_not_know():
    with pytest.raises(PlanError, match="no model called"):
        UtilitySettings(models=("gradient-bosting",))
    with pytest.raises(PlanError, match="unknown setting"):
        UtilitySettings(bin=3)
    with pytest.raises(PlanError, match="parts"):
        UtilitySettings(parts=("everything",))


def test_the_package_is_light_to_import():
    code = (
        "import sys, sfumato.evaluation.utility as u; dir(u); "
        "sys.exit('sklearn' in sys.modules or 'scipy' in sys.modules or hasattr(u, 'zz'))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- odd tables ------------------------------------------------------------------------------

ODD = {
    "one row": pl.DataFrame({"a": [1.5], "b": ["x"], "t": ["yes"]}),
    "all missing": pl.DataFrame(
        {"a": [None] * 40, "b": [None] * 40, "t": [None] * 40},
        schema={"a": pl.Float64, "b": pl.String, "t": pl.String},
    ),
    "no type": pl.DataFrame({"a": [None] * 40, "b": [None] * 40, "t": [None] * 40}),
    "constant": pl.DataFrame({"a": [1.0] * 40, "b": ["x"] * 40, "t": ["yes"] * 40}),
    "suppressed": pl.DataFrame({"a": ["*"] * 40, "b": ["*"] * 40, "t": ["*"] * 40}),
    "two rows": pl.DataFrame({"a": [1.0, None], "b": ["x", "*"], "t": ["yes", "no"]}),
    "not finite": pl.DataFrame(
        {"a": [float("nan"), float("inf")] * 20, "b": ["'", '"'] * 20, "t": ["yes", "no"] * 20}
    ),
    "usual": pl.DataFrame(
        {"a": np.arange(60.0) % 7, "b": ["x", "y", "z"] * 20, "t": ["yes", "no"] * 30}
    ),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("place", ["released", "real", "control"])
def test_odd_tables_give_figures_or_reasons(name, place):
    given = dict.fromkeys(("released", "real", "control"), ODD["usual"])
    found = run(**{**given, place: ODD[name]}, target="t")
    for key, figure in found.figures.items():
        assert figure.computed != bool(figure.because), key
        if figure.interval is not None:
            assert figure.interval[0] <= figure.interval[1], key
    assert round_trip(found) == found


@pytest.mark.slow
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.one_of(st.none(), st.floats(-1e9, 1e9)),
                st.sampled_from(["a", "b", "*", None, "é'\"", ""]),
                st.one_of(st.none(), st.dates()),
                st.one_of(st.none(), st.booleans()),
            ),
            min_size=1,
            max_size=25,
        ),
        min_size=3,
        max_size=3,
    )
)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_any_tables_give_figures_or_reasons(rows):
    types = {"n": pl.Float64, "c": pl.String, "d": pl.Date, "t": pl.Boolean}
    released, real, control = (pl.DataFrame(one, schema=types, orient="row") for one in rows)
    found = run(released, real, control, target="t")
    for key, figure in found.figures.items():
        assert figure.computed != bool(figure.because), key
    assert round_trip(found) == found


# --- queries ---------------------------------------------------------------------------------


def asked(query, released, real, control=None, **options):
    found = UtilityTables.of(released, real, control, REST)
    return answer_queries(found, [query], **options).answers[0]


def test_queries_are_answered_by_every_table():
    real = pl.DataFrame({"bmi": [20.0, 30.0, 40.0, 26.0] * 25, "sex": ["F", "F", "M", "M"] * 25})
    released = real.with_columns(pl.col("bmi") + 1)
    control = real.with_columns(pl.col("bmi") + 0.5)
    answer = asked("SELECT avg(bmi) FROM t WHERE sex = 'F'", released, real, control)
    assert answer.real == 25.0
    assert (answer.released.value, answer.released.control) == (26.0, 25.5)
    assert answer.error.value == pytest.approx(0.04)
    assert answer.error.control == pytest.approx(0.02)
    # the mean of 50 values of standard deviation 5
    low, high = answer.real_interval
    assert low == pytest.approx(25 - 1.96 * 5 / 50**0.5, abs=0.4)
    assert high == pytest.approx(25 + 1.96 * 5 / 50**0.5, abs=0.4)


def test_a_suppressed_number_is_null_and_a_suppressed_category_a_star():
    real = pl.DataFrame({"age": list(range(60)), "sex": ["F", "M"] * 30})
    released = pl.DataFrame({"age": ["*", *map(str, range(59))], "sex": ["*", "F"] * 30})
    assert asked("SELECT count(age) FROM t", released, real).released.value == 59
    assert asked("SELECT avg(sex = '*') FROM t", released, real).released.value == 0.5


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sex FROM t",
        "SELECT max(sex) FROM t",
        "SELECT avg(weight) FROM t",
        "SELEC 1",
        "SELECT avg(sex FROM t",
        "SELECT sum(CAST(sex AS INT)) FROM t",
        "SELECT avg(age) FROM another",
        "",
    ],
)
def test_a_query_that_gives_no_number_is_an_error_without_a_cell(query):
    real = pl.DataFrame({"sex": ["Secretword"] * 20, "age": [1] * 20})
    with pytest.raises(PlanError) as caught:
        asked(query, real, real)
    assert repr(query) in str(caught.value)
    assert "Secretword" not in str(caught.value)


def test_a_question_about_a_lost_column_is_not_computed():
    real = pl.DataFrame({"age": [1, 2], "bmi": [1.0, 2.0]})
    answer = asked("SELECT avg(bmi) FROM t", real.drop("bmi"), real)
    assert answer.released.because == "the release does not have 'bmi'"


def test_an_answer_of_nobody_is_not_computed():
    real = pl.DataFrame({"sex": ["F", "M"], "bmi": [1.0, 2.0]})
    answer = asked("SELECT avg(bmi) FROM t WHERE sex = 'M'", real[:1], real)
    assert "null" in answer.released.because
    assert answer.real == 2.0
