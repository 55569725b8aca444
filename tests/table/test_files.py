"""Reading and writing files: what is found, what is refused, and that nothing is lost."""
# ruff: noqa: DTZ001

from __future__ import annotations

import datetime as dt
import gzip
import os
import resource
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from sfumato.errors import DataError, EngineError, PlanError, SchemaError, SfumatoError
from sfumato.table.reading.files import Source, read, read_with_report, write

DATA = Path(__file__).parents[1] / "data"
LATE = 20_000  # beyond the rows that are looked at first


@pytest.fixture
def put(tmp_path: Path):
    """Write a file and return its path."""

    def write_file(content: str | bytes, name: str = "people.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


# ---------------------------------------------------------------- what is found


@pytest.mark.parametrize(
    ("content", "delimiter", "rows"),
    [
        ("a,b\n1,2\n", ",", [(1, 2)]),
        ("a;b\n1,5;x\n", ";", [(1.5, "x")]),
        ("a\tb\n1\tx, y\n", "\t", [(1, "x, y")]),
        ("a|b\n1|2\n", "|", [(1, 2)]),
        ("sep=;\na;b\n1;2\n", ";", [(1, 2)]),
        ('a;b\n"1;2";"say ""hi"""\n', ";", [("1;2", 'say "hi"')]),
        ('a,b\n"two\nlines",2\n', ",", [("two\nlines", 2)]),
        ("a,b\r\n1,\r\n2,x\r\n", ",", [(1, None), (2, "x")]),
        ("a,b\r1,2\r3,4\r", ",", [(1, 2), (3, 4)]),
        ("\n\na,b\n1,2\n", ",", [(1, 2)]),
        ("a,b\n\n1,2\n", ",", [(1, 2)]),
        ("note\nx\n\ny\n", ",", [("x",), (None,), ("y",)]),
        ("a,b\n1,2", ",", [(1, 2)]),
    ],
)
def test_delimiters_quotes_and_line_ends(put, content, delimiter, rows) -> None:
    reading = read_with_report(put(content))
    assert reading.frame.rows() == rows
    assert reading.delimiter == delimiter


@pytest.mark.parametrize(
    ("encoding", "text", "found"),
    [
        ("utf-8", "Müller", "utf-8"),
        ("utf-8-sig", "Müller", "utf-8-sig"),
        ("utf-16", "Müller", "utf-16"),
        ("utf-16-le", "Muller", "utf-16-le"),
        ("latin-1", "Müller", "cp1252"),
        ("cp1252", "5 €", "cp1252"),
        ("cp1251", "Иванов Пётр Сергеевич родился", "cp1251"),
    ],
)
def test_encodings(put, encoding, text, found) -> None:
    path = put(f"name;n\n{text};1\n".encode(encoding))
    reading = read_with_report(path)
    assert reading.frame.rows() == [(text, 1)]
    assert reading.encoding == found
    guessed = found not in ("utf-8", "utf-8-sig", "utf-16")
    assert any("encoding" in note for note in reading.notes) == guessed


def test_an_encoding_can_be_given(put) -> None:
    path = put("imię,n\nŁukasz,1\n".encode("cp1250"))
    assert read(path, encoding="cp1250").rows() == [("Łukasz", 1)]


def test_a_letter_outside_ascii_long_after_the_first_megabyte(put) -> None:
    path = put(b"name,n\n" + b"xxxxxxxxxx,1\n" * 100_000 + "Müller,2\n".encode("latin-1"))
    reading = read_with_report(path)
    assert reading.encoding == "cp1252"
    assert reading.frame["name"][-1] == "Müller"
    assert reading.frame.height == 100_001


@pytest.mark.parametrize("name", ["people.csv.gz", "people.tsv.gz", "people.txt.gz"])
def test_gzip_in_one_piece_or_more(put, name) -> None:
    packed = gzip.compress(b"a,b\n1,2\n", mtime=0) + gzip.compress(b"3,4\n", mtime=0)
    assert read(put(packed, name)).rows() == [(1, 2), (3, 4)]


def test_names_can_be_given_to_a_file_without_a_header(put) -> None:
    assert read(put("39, State-gov\n50, Private\n"), names=["age", "work"]).to_dict(
        as_series=False
    ) == {"age": [39, 50], "work": [" State-gov", " Private"]}


def test_a_first_line_that_may_be_a_row_is_told(put) -> None:
    (note,) = read_with_report(put("39,Private,7\n50,Private,8\n")).notes
    assert note.startswith("2 names are numbers")
    assert read_with_report(put("a,b\n1,2\n")).notes == ()


def test_plain_quotes_can_be_declared(put) -> None:
    path = put("height,n\n5'10\",1\n6',2\n")
    with pytest.raises(DataError, match=r"row 1 .* quoted = false"):
        read(path)
    assert read(path, quoted=False)["height"].to_list() == ["5'10\"", "6'"]


def test_rows_from_the_top(put) -> None:
    assert read(put("a,b\n1,2\n3,4\n5\n"), n_rows=2).rows() == [(1, 2), (3, 4)]


def test_types_are_found_reported_and_overridable(put) -> None:
    path = put(
        "id,zip,age,when,alive,ward\n1,02139,40,2020-01-31,true,A\n2,12345,41.5,2020-02-01,false,B\n"
    )
    reading = read_with_report(path)
    assert reading.types == {
        "id": "integer",
        "zip": "category",
        "age": "number",
        "when": "date",
        "alive": "boolean",
        "ward": "category",
    }
    assert reading.frame.dtypes == [
        pl.Int64,
        pl.String,
        pl.Float64,
        pl.Date,
        pl.Boolean,
        pl.String,
    ]
    given = read_with_report(path, types={"id": "text", "zip": "integer"})
    assert given.types["id"] == "text"
    assert given.frame["id"].to_list() == ["1", "2"]
    assert given.frame["zip"].to_list() == [2139, 12345]


@pytest.mark.parametrize(
    ("common", "last", "kind"),
    [
        ("5", "05", "category"),
        ("5", "+5", "category"),
        ("5.5", "00.5", "category"),
        ("-5", "-05", "category"),
        ("5", "5.5", "number"),
        ("5", " 6", "integer"),
        ("5", "x", "category"),
        ("5", "NA", "category"),
        ("true", "x", "category"),
        ("2020-01-31", "20-01-31", "category"),
        ("2020-01-31", "2020-02-30", "category"),
        ("01/02/2020", "13/02/2020", "date"),
        ("", "7", "integer"),
        ("", "2020-01-31", "date"),
    ],
)
def test_a_late_text_is_never_lost(put, common, last, kind) -> None:
    """The first rows suggest a type; a text far below that does not fit changes it."""
    path = put("a,b\n" + f"{common},1\n" * LATE + f"{last},1\n")
    reading = read_with_report(path)
    assert reading.types["a"] == kind
    assert reading.frame["a"].null_count() == (LATE if not common else 0)
    assert reading.frame["a"][-1] is not None
    if kind == "category":
        assert reading.frame["a"][-1] == last


def test_a_late_decimal_comma(put) -> None:
    path = put("a;b\n" + "1;x\n" * LATE + "2,5;y\n")
    reading = read_with_report(path)
    assert reading.decimal == ","
    assert reading.frame["a"][-1] == 2.5


# ---------------------------------------------------------------- missing values


def test_words_are_never_missing_unasked(put) -> None:
    reading = read_with_report(put("a,b\nNone,1\nNA,2\nUnknown,\nnan,4\n"))
    assert reading.frame["a"].to_list() == ["None", "NA", "Unknown", "nan"]
    assert reading.frame["b"].to_list() == [1, 2, None, 4]
    (note,) = reading.notes
    assert "column 'a' holds 4 cells, the first in row 1" in note
    assert """missing = ["", "NA", "nan", "None", "Unknown"]""" in note


def test_missing_words_are_the_users(put) -> None:
    path = put("a,b\n1,x\nNA,?\n,y\n")
    reading = read_with_report(path, missing=["", "NA", "?"])
    assert reading.frame.rows() == [(1, "x"), (None, None), (None, "y")]
    assert reading.notes == ()
    kept = read(path, missing=["NA"])
    assert kept["a"].to_list() == ["1", None, ""]
    assert kept["b"].to_list() == ["x", "?", "y"]


def test_nothing_is_missing_if_the_user_says_so(put) -> None:
    assert read(put('a,b\n1,""\n,x\n'), missing=[]).rows() == [("1", ""), ("", "x")]


def test_a_pair_of_quotes_is_an_empty_cell(put) -> None:
    assert read(put('"a","b"\n"1",""\n"","x"\n')).rows() == [(1, None), (None, "x")]


def test_real_data_with_the_text_nan() -> None:
    reading = read_with_report(DATA / "breast_cancer_ljubljana.csv.gz")
    assert reading.frame.shape == (286, 10)
    assert reading.types["age"] == "category"  # 40-49 is the original value
    assert "column 'node-caps' holds 8 cells" in reading.notes[0]
    assert "column 'breast-quad' holds 1 cell" in reading.notes[1]


def test_real_data_with_question_marks() -> None:
    path = DATA / "heart_cleveland.csv.gz"
    assert read_with_report(path).types["ca"] == "category"
    reading = read_with_report(path, missing=["", "?"])
    assert reading.types["ca"] == "integer"
    assert reading.frame["ca"].null_count() + reading.frame["thal"].null_count() == 6


# ---------------------------------------------------------------- what is refused

CANARY = "CANARY7391"


@pytest.mark.parametrize(
    ("content", "name", "options", "message"),
    [
        ("", "x.csv", {}, "is empty"),
        ("\n\n", "x.csv", {}, "is empty"),
        ("a,b\n", "x.csv", {}, "a header but no rows"),
        ("a,b", "x.csv", {}, "a header but no rows"),
        (f"a,b,a\n1,2,{CANARY}\n", "x.csv", {}, "columns 1 and 3 have the same name 'a'"),
        (f"a,,b\n1,2,{CANARY}\n", "x.csv", {}, "column 2 has no name"),
        (f"a,*\n1,{CANARY}\n", "x.csv", {}, r"column 2 is named '\*'"),
        (f"a,^b.*$\n1,{CANARY}\n", "x.csv", {}, "column 2 is named .* a pattern"),
        (f"a,b,c\n1,2,3\n{CANARY},2\n", "x.csv", {}, "row 2 has 2 fields where the header has 3"),
        (f'a,b,c\n"1,2",2,3\n{CANARY},2\n', "x.csv", {}, "row 2 has 2 fields"),
        (f"a,b,c\n{CANARY}\n1,2,3\n", "x.csv", {}, "row 1 has 1 field where the header has 3"),
        (f"a,b\n1,2\n1,2,{CANARY}\n", "x.csv", {}, "row 2 has 3 fields where the header has 2"),
        (f"a,b\n1,{CANARY},3\n", "x.csv", {}, "row 1 has 3 fields"),
        (f'a,b\n1,"{CANARY}\n2,y\n', "x.csv", {}, "quotes of row 1"),
        (f'a,b\n1,2\n"3"{CANARY},4\n', "x.csv", {}, "quotes of row 2"),
        (f"a;b\n{CANARY};2\n", "x.csv", {"delimiter": ","}, "say delimiter = ';'"),
        (f"a,b\n1,2\ninf,{CANARY}\n", "x.csv", {}, r"'a' holds infinite numbers \(1 cell, .*row 2"),
        (f"a,b\n1,2\n-Infinity,{CANARY}\n", "x.csv", {}, "'a' holds infinite numbers"),
        (f"a,b\n1,2\n1e999,{CANARY}\n", "x.csv", {}, "'a' holds infinite numbers"),
        ("a,b\n" + "1,2\n" * LATE + "inf,2\n", "x.csv", {}, r"\(1 cell, the first in row 20,001\)"),
        (
            f"a,b\n1,2\n{CANARY},3\n{CANARY},3\n",
            "x.csv",
            {"types": {"a": "integer"}},
            "'a' is to be read as integer, which does not fit 2 cells, the first in row 2",
        ),
        (
            "a,b\n1,2\nNA,3\n",
            "x.csv",
            {"types": {"a": "number"}},
            "among them are 'NA': name them in missing",
        ),
        (
            "a,b\n1,2\n,3\n",
            "x.csv",
            {"types": {"a": "number"}, "missing": []},
            "does not fit 1 cell, the first in row 2",
        ),
        (
            "d,b\n01/02/2020,2\n",
            "x.csv",
            {"types": {"d": "date"}},
            "days and months can be swapped; say day_first",
        ),
        (
            f"a,b\nx,1\n{CANARY}ü,1\n".encode("latin-1"),
            "x.csv",
            {"encoding": "utf-8"},
            "is not encoded in utf-8: line 3",
        ),
        (bytes(range(256)) * 4, "x.csv", {}, "is not a text file: it holds zero bytes"),
        (b"PAR1" + b"x" * 50, "x.csv", {}, "it is a Parquet file; name it .parquet"),
        (b"PK\x03\x04" + b"x" * 50, "x.csv", {}, "a zip archive or an Excel workbook"),
        (
            gzip.compress(b"a,b\n1,2\n", mtime=0),
            "x.csv",
            {},
            "compressed by gzip: name it x.csv.gz",
        ),
        (f"a,b\n1,{CANARY}\n", "x.csv.gz", {}, "not gzip, or damaged"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "x.csv.gz", {}, "is cut short"),
        (
            gzip.compress(b"a,b\n1,2\n", mtime=0)[:-8] + b"12345678",
            "x.csv.gz",
            {},
            "not gzip, or damaged",
        ),
        (gzip.compress(b"", mtime=0), "x.csv.gz", {}, "is empty"),
        (f"a,b\n1,{CANARY}\n", "x.parquet", {}, "is not a Parquet file"),
        (b"PAR1" + b"x" * 50 + b"PAR1", "x.parquet", {}, "is damaged"),
        (b"", "x.parquet", {}, "is empty"),
        (f"a,b\n1,{CANARY}\n", "x.xlsx", {}, "no Excel workbook, or damaged"),
        (b"", "x.xlsx", {}, "is empty"),
        ("a\n1\n", "x.foo", {}, "known endings are .csv"),
        ("a\n1\n", "x", {}, "known endings are .csv"),
    ],
)
def test_each_bad_file_gives_one_clear_error(put, content, name, options, message) -> None:
    path = put(content, name)
    with pytest.raises(DataError, match=message) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None  # nothing below tells more
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_folder_is_no_table(tmp_path) -> None:
    with pytest.raises(DataError, match="is a folder; name a file in it"):
        read(tmp_path)


def test_gzip_cut_long_after_its_beginning(put) -> None:
    rows = "".join(f"{number},{number * 7919 % 10007}\n" for number in range(400_000))
    packed = gzip.compress(f"a,b\n{rows}".encode(), 1)
    with pytest.raises(DataError, match="is cut short"):
        read(put(packed[:-2000], "x.csv.gz"))


def test_a_given_encoding_that_fails_after_the_first_megabyte(put) -> None:
    path = put(b"name,n\n" + b"xxxxxxxxxx,1\n" * 100_000 + f"{CANARY}ü,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="not encoded in utf-8: line 100,002") as caught:
        read(path, encoding="utf-8")
    assert CANARY not in str(caught.value)


def test_absent_folder_and_forbidden_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "nope.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path / "folder.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(put) -> None:
    path = put("a\n1\n")
    path.chmod(0)
    with pytest.raises(DataError, match="permission denied"):
        read(path)


def test_a_type_for_an_absent_column(put) -> None:
    with pytest.raises(SchemaError, match=r"no column 'aeg'.* Did you mean 'age'"):
        read(put("age,b\n1,2\n"), types={"aeg": "integer"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either a path or a url"),
        ({"path": "a.csv", "url": "sqlite:///a"}, "either a path or a url"),
        ({"url": "sqlite:///a"}, "query"),
        ({"path": "a.csv", "query": "select 1"}, "query is for a database"),
        ({"path": "a.csv", "delimiter": ";;"}, "one character"),
        ({"path": "a.csv", "delimiter": ",", "decimal": ","}, "the same"),
        ({"path": "a.csv", "encoding": "utf-99"}, "does not know"),
        ({"path": "a.csv", "n_rows": 0}, "n_rows"),
        ({"path": "a.csv", "types": {"a": "float"}}, "types"),
        ({"path": "a.csv", "delimter": ";"}, "Did you mean 'delimiter'"),
    ],
)
def test_contradicting_settings(options, message) -> None:
    with pytest.raises(PlanError, match=message):
        Source(**options)


@pytest.mark.parametrize(
    ("name", "options"),
    [("x.parquet", {"delimiter": ";"}), ("x.csv", {"sheet": 1}), ("x.xlsx", {"encoding": "utf-8"})],
)
def test_settings_of_another_kind_of_file(put, name, options) -> None:
    with pytest.raises(PlanError, match=f"{next(iter(options))} is for"):
        read(put("a\n1\n", name), **options)


def test_blank_lines_are_left_out_and_told(put) -> None:
    inside = read_with_report(put("a,b\n1,2\n\n3,\n"))
    assert inside.frame.rows() == [(1, 2), (3, None)]
    assert inside.notes == ("a blank line was left out",)
    at_the_end = read_with_report(put('a,b\n"1,5",2\n3,4\n\n\n'))
    assert at_the_end.frame.height == 2
    assert "2 blank lines were left out" in at_the_end.notes


def test_a_source_hides_its_url_and_takes_a_base(put, tmp_path: Path) -> None:
    put("a\n1\n", "inside.csv")
    assert Source(path="inside.csv").read(base=tmp_path).rows() == [(1,)]
    secret = Source(url="postgresql://me:hunter2@host/db", query="patients")
    assert "hunter2" not in repr(secret)
    assert "hunter2" not in str(secret)


def test_a_reading_does_not_print_its_rows(put) -> None:
    assert CANARY not in repr(read_with_report(put(f"a,b\n{CANARY},1\n")))


def test_a_source_with_options(put) -> None:
    source = Source(path=str(put("a;b\n1;NA\n")), missing=["NA"])
    assert read(source, types={"a": "text"}).rows() == [("1", None)]


# ---------------------------------------------------------------- writing


def frame_of_all_types() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "i": [1, None, -3],
            "f": [0.1, 5.0, None],
            "b": [True, None, False],
            "d": [dt.date(2020, 2, 29), None, dt.date(1999, 1, 1)],
            "t": [dt.datetime(2020, 1, 1, 10, 30, 5), None, dt.datetime(1999, 1, 1, 1, 2, 3)],
            "s": ["=1+1", 'a "quote", and\nmore', None],
        }
    )


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "x.tsv.gz", "x.parquet", "x.xlsx"])
def test_what_is_written_is_read_again_and_bytes_are_the_same(tmp_path: Path, name) -> None:
    frame = frame_of_all_types()
    path = write(frame, tmp_path / name)
    assert_frame_equal(read(path), frame)
    halves = pl.concat([frame.head(1), frame.tail(2)], rechunk=False)
    again = write(halves, tmp_path / f"again.{name}")
    assert again.read_bytes() == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, f"again.{name}"])


def test_points_in_time_with_a_zone_keep_their_instant(tmp_path: Path) -> None:
    moment = pl.Series("t", [dt.datetime(2020, 7, 1, 12, 0)]).dt.replace_time_zone("Europe/Berlin")
    back = read(write(moment.to_frame(), tmp_path / "x.csv"))
    assert back["t"].to_list() == [dt.datetime(2020, 7, 1, 10, 0, tzinfo=dt.UTC)]


# Carriage returns alone would be line ends of a text file without a line feed; zero bytes are
# refused; surrogates are no text.
ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
) | st.sampled_from(['"', '""', ",", ";", "\n", "\r\n", "NA", " ", "a,b", "'", "é€", "=1", "#"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    cells=st.lists(st.tuples(ANY_TEXT | st.none(), ANY_TEXT | st.none()), min_size=1, max_size=8),
    ending=st.sampled_from([".csv", ".tsv", ".csv.gz", ".parquet"]),
)
def test_any_text_survives_writing_and_reading(tmp_path: Path, cells, ending) -> None:
    frame = pl.DataFrame(cells, schema={"one": pl.String, "two": pl.String}, orient="row")
    path = write(frame, tmp_path / f"any{ending}", overwrite=True)
    delimiter = {".tsv": "\t"}.get(ending, ",")
    options = {} if ending == ".parquet" else {"delimiter": delimiter, "encoding": "utf-8"}
    assert_frame_equal(read(path, types={"one": "text", "two": "text"}, **options), frame)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cells=st.lists(ANY_TEXT | st.none(), min_size=1, max_size=8))
def test_any_text_of_a_single_column_survives(tmp_path: Path, cells) -> None:
    frame = pl.DataFrame({"one": cells}, schema={"one": pl.String})
    path = write(frame, tmp_path / "any.csv", overwrite=True)
    back = read(path, types={"one": "text"}, delimiter=",", encoding="utf-8")
    assert_frame_equal(back, frame)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    numbers=st.lists(
        st.tuples(
            st.integers(-(10**17), 10**17),
            st.floats(allow_nan=False, allow_infinity=False),
            st.booleans(),
        ),
        min_size=1,
        max_size=20,
    ),
    ending=st.sampled_from([".csv", ".csv.gz", ".parquet"]),
)
def test_numbers_survive_to_the_last_bit(tmp_path: Path, numbers, ending) -> None:
    schema = {"i": pl.Int64, "f": pl.Float64, "b": pl.Boolean}
    frame = pl.DataFrame(numbers, schema=schema, orient="row")
    back = read(write(frame, tmp_path / f"n{ending}", overwrite=True))
    assert_frame_equal(back, frame, check_exact=True)


def test_an_existing_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = write(pl.DataFrame({"a": [1]}), tmp_path / "x.csv")
    with pytest.raises(DataError, match="exists"):
        write(pl.DataFrame({"a": [2]}), path)
    assert read(path).rows() == [(1,)]
    write(pl.DataFrame({"a": [2]}), path, overwrite=True)
    assert read(path).rows() == [(2,)]


@pytest.mark.parametrize(
    ("frame", "name", "message"),
    [
        (pl.DataFrame({"a": [1]}), "x.json", "written as .csv"),
        (pl.DataFrame({"a": [1]}), "nope/x.csv", "there is no folder"),
        (pl.DataFrame({"a": [float("nan")]}), "x.csv", "not finite"),
        (pl.DataFrame({"a": [1.0, float("inf")]}), "x.parquet", "first in row 2"),
        (pl.DataFrame({"": [1]}), "x.csv", "column 1 has no name"),
        (pl.DataFrame({"a": [f"{CANARY}\0"]}), "x.csv", "zero byte"),
        (pl.DataFrame({"a": ["x" * 32_768]}), "x.xlsx", "longer than the 32,767"),
        (pl.DataFrame({"a": [2**53 + 1]}), "x.xlsx", "beyond 2\\*\\*53"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, frame, name, message) -> None:
    with pytest.raises(DataError, match=message) as caught:
        write(frame, tmp_path / name)
    assert CANARY not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet", "x.xlsx"])
def test_a_full_disk_gives_one_error_and_leaves_the_old_file(tmp_path: Path, name) -> None:
    """The limit on the size of a file stands in for the disk: the system refuses the same way."""
    old = write(pl.DataFrame({"a": [1]}), tmp_path / name)
    before = old.read_bytes()
    script = f"""
        import random, resource
        import polars as pl
        from sfumato.errors import EngineError
        from sfumato.table.reading.files import write
        random.seed(1)
        frame = pl.DataFrame({{"a": [random.random() for _ in range(20_000)]}})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            write(frame, {str(old)!r}, overwrite=True)
        except EngineError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=False
    )
    assert "the disk is full; nothing was left there" in done.stdout, done.stderr
    assert old.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_write_that_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(EngineError, match="nothing was left there"):
        write(pl.DataFrame({"a": [1]}), tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []


def test_real_data_survives_a_round_trip(tmp_path: Path) -> None:
    frame = read(DATA / "heart_sample.parquet")
    assert frame.shape == (4000, 35)
    assert_frame_equal(read(write(frame, tmp_path / "x.csv.gz")), frame)


# ---------------------------------------------------------------- Excel


def workbook(path: Path, rows: list[list[object]], sheets: tuple[str, ...] = ("People",)) -> Path:
    from xlsxwriter import Workbook

    book = Workbook(path, {"strings_to_formulas": False})
    for name in sheets:
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            for position, cell in enumerate(row):
                if cell is not None:
                    sheet.write(number, position, cell)
    book.close()
    return path


def test_excel_types_and_texts(tmp_path: Path) -> None:
    rows = [["n", "x", "zip", "mixed", "flag", "text"]] + [
        [number, number + 0.5, f"{number:05}", number, True, "=1+1"] for number in range(3)
    ]
    rows[2][3] = "NA"
    path = workbook(tmp_path / "x.xlsx", rows)
    reading = read_with_report(path)
    assert reading.types == {
        "n": "integer",
        "x": "number",
        "zip": "category",
        "mixed": "category",
        "flag": "boolean",
        "text": "category",
    }
    assert reading.frame["mixed"].to_list() == ["0", "NA", "2"]
    assert reading.frame["zip"].to_list() == ["00000", "00001", "00002"]
    assert any("would be of type integer but for 1 cell" in note for note in reading.notes)
    assert read(path, missing=["", "NA"])["mixed"].to_list() == [0, None, 2]


def test_a_text_far_down_an_excel_column_is_not_lost(tmp_path: Path) -> None:
    rows: list[list[object]] = [["a"], *([number] for number in range(2000)), ["unknown"]]
    frame = read(workbook(tmp_path / "x.xlsx", rows))
    assert frame["a"].null_count() == 0
    assert frame["a"][-1] == "unknown"


def test_sheets_by_name_and_number(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", [["a"], [1]], ("People", "Wards"))
    assert read(path, sheet="Wards").rows() == read(path, sheet=2).rows() == [(1,)]
    with pytest.raises(DataError, match=r"no sheet 'Peopel'\. Did you mean 'People'"):
        read(path, sheet="Peopel")
    with pytest.raises(DataError, match="there is no sheet 3"):
        read(path, sheet=3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "is empty"),
        ([["a", "b"]], "no rows"),
        ([["a", "a"], [1, 2]], "the same name 'a'"),
        ([["a", None, "b"], [1, 2, 3]], "column 2 has no name"),
    ],
)
def test_bad_sheets(tmp_path: Path, rows, message) -> None:
    with pytest.raises(DataError, match=message):
        read(workbook(tmp_path / "x.xlsx", rows))


# ---------------------------------------------------------------- Parquet


def test_parquet_types_are_brought_to_ours(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "small": pl.Series([1, None], dtype=pl.Int8),
            "huge": pl.Series([1, 2**64 - 1], dtype=pl.UInt64),
            "single": pl.Series([0.5, None], dtype=pl.Float32),
            "category": pl.Series(["a", None], dtype=pl.Categorical),
            "empty": pl.Series(["", "x"]),
            "millis": pl.Series([dt.datetime(2020, 1, 1), None], dtype=pl.Datetime("ms")),
        }
    )
    path = tmp_path / "x.parquet"
    frame.write_parquet(path)
    reading = read_with_report(path)
    assert reading.frame.schema == {
        "small": pl.Int64,
        "huge": pl.String,
        "single": pl.Float64,
        "category": pl.String,
        "empty": pl.String,
        "millis": pl.Datetime("us"),
    }
    assert reading.frame["empty"].to_list() == [None, "x"]
    assert read(path, types={"small": "number"})["small"].to_list() == [1.0, None]


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (
            pl.DataFrame({"a": [1.0, float("nan")]}),
            {},
            r"not finite \(1 cell, the first in row 2\)",
        ),
        (pl.DataFrame({"a": [[1]]}), {}, "List"),
        (pl.DataFrame({"a": [dt.timedelta(1)]}), {}, "Duration"),
        (pl.DataFrame({"a": []}), {}, "no rows"),
        (pl.DataFrame({"a": [1.5]}), {"types": {"a": "integer"}}, "does not fit 1 cell"),
        (pl.DataFrame({"a": [1]}), {"types": {"a": "date"}}, "cannot be read as date"),
    ],
)
def test_bad_parquet(tmp_path: Path, frame, options, message) -> None:
    frame.write_parquet(tmp_path / "x.parquet")
    with pytest.raises(SfumatoError, match=message):
        read(tmp_path / "x.parquet", **options)


# ---------------------------------------------------------------- size


@pytest.mark.slow
def test_a_million_rows_take_the_memory_of_the_table(tmp_path: Path) -> None:
    """Peak memory stays near that of plain Polars: nothing is held twice."""
    path = tmp_path / "x.csv"
    rows = "".join(f"{n % 90}.0,{n % 2},x{n % 7},{n % 4000 / 100}\n" for n in range(1_000_000))
    path.write_text("age,sex,ward,bmi\n" + rows)
    script = """
        import resource, sys
        import polars as pl
        from sfumato.table.reading.files import read
        frame = read(sys.argv[1]) if sys.argv[2] == "ours" else pl.read_csv(sys.argv[1])
        assert frame.height == 1_000_000
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", dedent(script), str(path), reader]))
        for reader in ("ours", "plain")
    ]
    assert peaks[0] < 2 * peaks[1], [peak / 1024 for peak in peaks]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
