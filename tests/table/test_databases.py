"""Reading databases: typed, for selecting only, and without a cell or a password in an error."""
# ruff: noqa: DTZ001

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest

from sfumato.errors import DataError, EngineError, MissingExtra, PlanError, SfumatoError
from sfumato.table.reading.databases import statement
from sfumato.table.reading.files import Source, read, read_with_report

CANARY = "CANARY7391"


def test_the_name_of_a_table_selects_it() -> None:
    assert statement(" patients ; ") == 'select * from "patients"'
    assert statement("select a from b;") == "select a from b"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://me:hunter2@host/db", "no database 'mysql'"),
        ("postgresl://me:hunter2@host/db", "Did you mean 'postgresql'"),
        ("postgresql://me:hunter2/x@host/db", "cannot be taken apart"),
        ("sqlite://people.db", "a third slash"),
        ("duckdb://people.db", "a third slash"),
    ],
)
def test_wrong_urls_show_no_password(url: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        read(url, query="patients")
    assert "hunter2" not in str(caught.value)


# ---------------------------------------------------------------- SQLite


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    path = tmp_path / "people.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table p(id integer, x real, name text, day date, m, zip text)")
        connection.executemany(
            "insert into p values(?,?,?,?,?,?)",
            [(1, 1.5, CANARY, "2020-01-31", 5, "02139"), (2, None, "", None, "NA", "12345")],
        )
        connection.commit()
    return f"sqlite:///{path}"


def test_sqlite_types(sqlite_url: str) -> None:
    reading = read_with_report(sqlite_url, query="p")
    assert reading.frame.rows() == [
        (1, 1.5, CANARY, dt.date(2020, 1, 31), "5", "02139"),
        (2, None, None, None, "NA", "12345"),
    ]
    assert list(reading.types.values())[:4] == ["integer", "number", "category", "date"]
    assert any("column 'm' holds 1 cell" in note for note in reading.notes)
    assert read(sqlite_url, query="p", missing=["", "NA"], types={"m": "integer"})[
        "m"
    ].to_list() == [5, None]
    assert read(sqlite_url, query="p", n_rows=1).height == 1


def test_sqlite_paths_start_from_the_base(sqlite_url: str, tmp_path: Path) -> None:
    source = Source(url="sqlite:///people.db", query="select count(*) as n from p")
    assert source.read(base=tmp_path).item() == 2


def test_sqlite_batches_that_differ_in_type(tmp_path: Path) -> None:
    path = tmp_path / "long.db"
    rows: list[tuple[object]] = [(None,)] * 60_000 + [(number,) for number in range(60_000)]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table p(a)")
        connection.executemany("insert into p values(?)", [*rows, (0.5,)])
        connection.commit()
    frame = read(f"sqlite:///{path}", query="p")
    assert frame["a"].null_count() == 60_000
    assert frame["a"].sum() == sum(range(60_000)) + 0.5
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("insert into p values('x')")
        connection.commit()
    mixed = read(f"sqlite:///{path}", query="p")
    assert mixed["a"].dtype == pl.String
    assert mixed["a"].null_count() == 60_000
    assert mixed["a"][-1] == "x"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nope", "no such table: nope"),
        ("selct 1 from p", "syntax error"),
        ("update p set id = 3", "more than select"),
        ("insert into p(id) values(3)", "more than select"),
        ("create table q(a)", "more than select"),
        ("attach 'other.db' as other", "more than select"),
        ("pragma user_version = 3", "more than select"),
        ("select 1 as a; select 2 as b", "more than one statement"),
        ("select id, id from p", "the same name 'id'"),
        ("select x'00' as a", "bytes"),
        ("select * from p where id = 9", "no rows"),
        ("select 9e999 as a", "not finite"),
    ],
)
def test_sqlite_refusals(sqlite_url: str, query: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(sqlite_url, query=query)
    assert CANARY not in str(caught.value)
    assert read(sqlite_url, query="p").height == 2


def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is not an SQLite database"):
        read(f"sqlite:///{tmp_path}/x.db", query="p")
    with pytest.raises(DataError, match="is not a DuckDB database"):
        read(f"duckdb:///{tmp_path}/x.db", query="p")
    with pytest.raises(DataError, match="there is no such file"):
        read(f"sqlite:///{tmp_path}/none.db", query="p")
    assert not (tmp_path / "none.db").exists()


# ---------------------------------------------------------------- DuckDB


@pytest.fixture(scope="module")
def duckdb_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path_factory.mktemp("duckdb") / "people.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"""create table p as select range::int as id, range * 0.5 as x, '{CANARY}' as name,
            date '2020-01-31' as day, timestamp '2020-01-31 10:00:00' as moment, range = 1 as flag,
            1.5::decimal(10, 2) as price, sum(range) over () as total, 'a'::enum('a', 'b') as ward,
            if(range = 1, null, 7::utinyint) as small, [1] as list, interval 1 day as length
            from range(2)"""
        )
    return f"duckdb:///{path}"


def test_duckdb_types(duckdb_url: str) -> None:
    reading = read_with_report(duckdb_url, query="select * exclude (list, length) from p")
    moment = dt.datetime(2020, 1, 31, 10)
    assert reading.frame.rows() == [
        (0, 0.0, CANARY, dt.date(2020, 1, 31), moment, False, 1.5, 1, "a", 7),
        (1, 0.5, CANARY, dt.date(2020, 1, 31), moment, True, 1.5, 1, "a", None),
    ]
    kinds = "integer number category date datetime boolean number integer category integer"
    assert list(reading.types.values()) == kinds.split()
    assert read(duckdb_url, query="select id from p", n_rows=1).height == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nope", "nope does not exist"),
        ("select nope from p", "nope"),
        ("selct 1 from p", "syntax error"),
        ("update p set id = 1", "must be one select"),
        ("select 1 as a; select 2 as b", "must be one select"),
        ("copy p to 'out.csv'", "must be one select"),
        ("select * from read_csv('/etc/passwd')", "which is refused"),
        ("p", "column 'list' holds"),
        ("select length from p", "column 'length' holds INTERVAL"),
        ("select name::int as a from p", "cannot be converted"),
        ("select 'nan'::double as a", "not finite"),
        ("select id, id from p", "the same name 'id'"),
        ("select id from p where id = 9", "no rows"),
    ],
)
def test_duckdb_refusals(duckdb_url: str, query: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(duckdb_url, query=query)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("url", ["duckdb:///{}/x.duckdb", "postgresql://host/db"])
def test_a_driver_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    (tmp_path / "x.duckdb").write_bytes(b"\0" * 8 + b"DUCK" + b"\0" * 20)
    for module in ("duckdb", "psycopg"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"pip install 'sfumato\[database\]'"):
        read(url.format(tmp_path), query="p")


# ---------------------------------------------------------------- PostgreSQL: a real server


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of our own, on a free port of the loopback."""

    port: int
    password: str = f"{CANARY}/ä@:%"

    def url(self, database: str = "postgres", **changes: str) -> str:
        user = changes.get("user", "owner")
        password = quote(changes.get("password", self.password), safe="")
        port = changes.get("port", str(self.port))
        return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}"

    def run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="owner",
            password=self.password,
            dbname="postgres",
        ) as connection:
            connection.execute(statement)


def _program(name: str) -> str | None:
    """Return the path of a server program: on the PATH, or where Debian puts it."""
    found = shutil.which(name)
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return found or (str(places[0]) if places else None)


def _another_user() -> str | None:
    """Return the user that runs the server: it refuses to be run by the superuser."""
    import pwd

    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    initdb, postgres = _program("initdb"), _program("postgres")
    if not (initdb and postgres and find_spec("psycopg")):
        reason = "this machine lacks psycopg, or the PostgreSQL server programs initdb and postgres"
        if os.environ.get("SFUMATO_REQUIRE_POSTGRESQL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    user = _another_user()
    # Not below pytest's folder: that one is closed to other users.
    with tempfile.TemporaryDirectory(prefix="sfumato-postgresql-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            running = Server(port=probe.getsockname()[1])
        password = home / "password"
        password.write_text(running.password, "utf-8")
        if user:
            shutil.chown(home, user)
            shutil.chown(password, user)
        options: dict[str, Any] = {"user": user, "cwd": home, "env": {"LC_ALL": "C.UTF-8"}}
        data = home / "data"
        more = ["-E", "UTF8", "--no-sync"]
        subprocess.run(
            [initdb, "-D", data, "-U", "owner", "-A", "scram-sha-256", "--pwfile", password, *more],
            check=True,
            capture_output=True,
            **options,
        )
        settings = {"listen_addresses": "127.0.0.1", "fsync": "off", "unix_socket_directories": ""}
        flags = [flag for key, value in settings.items() for flag in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [postgres, "-D", data, "-p", str(running.port), *flags],
                stdout=log,
                stderr=log,
                **options,
            )
            try:
                _wait(running, process)
                yield running
            finally:
                process.terminate()
                process.wait(timeout=30)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    import psycopg

    for _ in range(300):
        assert process.poll() is None, "the server ended at once"
        with contextlib.suppress(psycopg.OperationalError):
            server.run("select 1")
            return
        time.sleep(0.1)
    pytest.fail("the server does not answer")


@pytest.fixture(scope="module")
def people(server: Server) -> Server:
    server.run(
        f"""
        create table p(id int, big bigint, x double precision, price numeric(10, 2),
            code numeric(8, 0), free numeric, flag boolean, day date, moment timestamp,
            instant timestamptz, name text, padded char(5), note json);
        insert into p values
            (1, 9000000000000000000, 0.1, 3.25, 7, 1.5, true, '2020-01-31',
             '2020-01-31 10:00:00.5', '2020-01-31 10:00+02', '{CANARY}, "x"\ny;', 'ab', '1'),
            (2, null, null, null, null, null, null, null, null, null, '', null, null),
            (3, -1, 1e300, 0, 0, 0, false, '1999-12-31', '1999-12-31', '1999-12-31', '\\.', 'ü',
             null);
        """
    )
    return server


PLAIN = "id, big, x, price, code, free, flag, day, moment, instant, name, padded"


@pytest.mark.postgresql
def test_postgresql_types(people: Server) -> None:
    reading = read_with_report(people.url(), query=f"select {PLAIN} from p order by id;")
    assert reading.frame.rows() == [
        (
            *(1, 9_000_000_000_000_000_000, 0.1, 3.25, 7, 1.5, True, dt.date(2020, 1, 31)),
            dt.datetime(2020, 1, 31, 10, 0, 0, 500_000),
            dt.datetime(2020, 1, 31, 8, 0, tzinfo=dt.UTC),
            f'{CANARY}, "x"\ny;',
            "ab",
        ),
        (2, *[None] * 11),
        (
            *(3, -1, 1e300, 0.0, 0, 0.0, False, dt.date(1999, 12, 31)),
            dt.datetime(1999, 12, 31),
            dt.datetime(1999, 12, 31, tzinfo=dt.UTC),
            "\\.",
            "ü",
        ),
    ]
    kinds = (
        "integer integer number number integer number boolean date datetime datetime category "
        "category"
    )
    assert list(reading.types.values()) == kinds.split()


@pytest.mark.postgresql
def test_postgresql_tells_null_from_an_empty_text(people: Server) -> None:
    query = "select name, padded from p order by id"
    assert read(people.url(), query=query, missing=[]).rows()[1] == ("", None)
    assert read(people.url(), query="select null::int as a union all select 3").rows() == [
        (None,),
        (3,),
    ]


@pytest.mark.postgresql
def test_postgresql_options(people: Server) -> None:
    query = "select id from p order by id -- with a remark"
    assert read(people.url(), query=query, n_rows=2)["id"].to_list() == [1, 2]
    assert read(people.url(), query=query, types={"id": "text"})["id"].to_list() == ["1", "2", "3"]
    assert read(people.url().replace("postgresql", "postgres"), query=query).height == 3


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nope", 'relation "nope" does not exist'),
        ("select nope from p", 'column "nope" does not exist'),
        ("selct 1 from p", "syntax error"),
        ("update p set id = 1", "is not a select"),
        ("update p set id = 1 returning id", "more than select"),
        ("select 1; drop table p", "multiple commands"),
        ("select 1) to program 'touch x' --", "syntax error"),
        ("set default_transaction_read_only = off", "is not a select"),
        ("p", "column 'note' is of the type json"),
        ("select interval '1 day' as a", "is of the type interval"),
        ("select name::int as a from p", "cannot be converted"),
        ("select 1 / 0 as a", "cannot be converted or computed"),
        ("select 'nan'::float8 as a", r"not finite \(1 cell, the first in row 1\)"),
        ("select 'infinity'::numeric as a", "not finite"),
        ("select date '2020-01-01' as a union all select 'infinity'", "without end.* row 2"),
        ("select id, id from p", "the same name 'id'"),
        ("select id from p where id = 9", "no rows"),
    ],
)
def test_postgresql_refusals(people: Server, query: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(people.url(), query=query)
    assert CANARY not in str(caught.value)
    assert read(people.url(), query="select id from p").height == 3


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"password": f"{CANARY}x"}, "the user or the password is wrong"),
        ({"user": "nobody"}, "the user or the password is wrong"),
        ({"port": "1"}, "no server listens there"),
        ({"database": "nope"}, "no such database or user"),
    ],
)
def test_postgresql_that_cannot_be_reached(
    people: Server, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        read(people.url(**changes), query="p")
    told = f"{caught.value} {caught.value.__cause__}"
    assert CANARY not in told
    assert caught.value.__suppress_context__


@pytest.mark.postgresql
def test_postgresql_takes_the_password_from_the_environment(
    people: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://owner@127.0.0.1:{people.port}/postgres"
    with pytest.raises(EngineError, match="set PGPASSWORD"):
        read(url, query="select 1 as a")
    monkeypatch.setenv("PGPASSWORD", people.password)
    assert read(url, query="select 1 as a").rows() == [(1,)]


@pytest.mark.postgresql
def test_postgresql_in_more_than_one_block(people: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.table.reading.postgresql._BLOCK", 1 << 14)
    query = "select i, 'name ' || i as s, i * 0.5 as f from generate_series(1, 20000) as i"
    frame = read(people.url(), query=query)
    assert frame["i"].to_list() == list(range(1, 20_001))
    assert frame["s"][-1] == "name 20000"
    endless = "select case when i = 19999 then 'nan'::float8 else i end as f"
    with pytest.raises(SfumatoError, match="the first in row 19,999"):
        read(people.url(), query=f"{endless} from generate_series(1, 20000) as i")
