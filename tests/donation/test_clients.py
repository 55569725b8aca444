"""Donors and their answers, connections, receipts and keys."""

from __future__ import annotations

import http.server
import json
import ssl
import stat
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.donation.in_process import CODEC, clients_task, people

from sfumato.donation.clients import (
    DonationFile,
    Donor,
    HttpConnection,
    ResearcherKeys,
    ServerLost,
    ServerRefused,
    ServerStatus,
    TaskServers,
    answers_row,
    make_donations,
    problems_of,
    read_answers,
)
from sfumato.donation.clients.connection import Answer, refusal
from sfumato.donation.links import make_certificate
from sfumato.donation.messages import Receipt, open_report, share_components
from sfumato.donation.rounds import RoundState
from sfumato.donation.rounds.mailboxes import mailbox_layout
from sfumato.errors import DataError, EngineError, PlanError, ProtocolError, SchemaError

ANSWERS = {"age": "31", "sex": "Male", "smoking": "never", "glucose": "120"}
CANARY = "CANARY77"


@pytest.fixture(scope="module")
def parties():
    return clients_task()[0]


# -- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.json", '{"age": 31.0, "sex": "Male", "smoking": " never ", "glucose": 120}'),
        ("r.csv", "age,sex,smoking,glucose\n31,Male,never,120\n"),
        ("r.csv", "\ufeffglucose,age,sex,smoking\r\n120,31,Male,never\r\n"),
    ],
)
def test_a_record_is_read_from_json_and_csv(parties, tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text, "utf-8")
    answers = read_answers(tmp_path / name)
    assert answers == ANSWERS
    row = answers_row(parties.task, answers)
    assert parties.task.codec.decode(parties.task.codec.encode(row)).row(0) == (
        31,
        "Male",
        "never",
        120,
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.json", "[1]", "one JSON object"),
        ("r.json", "{", "not JSON"),
        ("r.json", '{"age": [1]}', "a text, a number or null"),
        ("r.csv", "age,sex\n1,Male\n2,Male\n", "the file has 2 rows"),
        ("r.csv", "age\n", "the file has 0 rows"),
        ("r.csv", "age,age\n1,2\n", "each column once"),
        ("r.csv", 'age\n"1', "not CSV"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, name: str, text: str, message: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_answers(tmp_path / name)


@pytest.mark.parametrize("column", ["age", "sex", "smoking", "glucose"])
def test_a_wrong_answer_names_question_and_possible_answers_and_not_the_answer(parties, column):
    with pytest.raises(DataError) as caught:
        answers_row(parties.task, {**ANSWERS, column: CANARY})
    message = str(caught.value)
    assert message.startswith(f"{column}: choose ")
    assert CANARY not in message
    assert {
        "age": "a number from 20 to 35",
        "sex": "'Female', 'Male', 'Other', or no answer",
        "smoking": "'never', 'current'",
        "glucose": "a number from 80 to 400",
    }[column] in message


def test_questions_without_answer_and_columns_without_question_are_named(parties):
    with pytest.raises(SchemaError, match="lacks an answer to: glucose"):
        answers_row(parties.task, {k: v for k, v in ANSWERS.items() if k != "glucose"})
    with pytest.raises(SchemaError, match="Did you mean 'sex'"):
        answers_row(parties.task, {**ANSWERS, "sexx": "Male"})
    assert set(problems_of(parties.task, {**ANSWERS, "age": None, "sex": None})) == {"age"}


# -- reports -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 4))
def test_the_servers_shares_are_those_of_the_rows(parties, seed, count):
    rows = people(count, seed)
    task = parties.task
    reports = make_donations(task, rows, 3)
    records = task.codec.encode(rows)
    for report, record in zip(reports, records, strict=True):
        assert report.round_number == 3
        opened = [
            open_report(task, report, server, parties.envelopes[server]) for server in range(3)
        ]
        first, second, third = (share_components([shares])[0][0] for shares in opened)
        assert np.array_equal(first ^ second ^ third, record)
    assert len({report.report_id for report in reports}) == count


def test_reports_of_mailboxes_are_made_alike():
    parties, _ = clients_task(mode="dpf", mailbox=mailbox_layout(CODEC, 50))
    reports = make_donations(parties.task, people(2), 0)
    assert {len(report.data) for report in reports} == {parties.task.layout.report_bytes}
    shares = open_report(parties.task, reports[0], 0, parties.envelopes[0])
    assert len(shares.mailbox_keys) == parties.task.mailbox_tables


def test_a_token_is_for_one_report(parties):
    with pytest.raises(ProtocolError, match="one report"):
        make_donations(parties.task, people(2), 0, token=(bytes(16), b"x"))


# -- servers -------------------------------------------------------------------------------------


class Scripted:
    """A connection whose answers are given in advance."""

    def __init__(self, name: str, *answers: Answer) -> None:
        self.name, self.answers, self.paths = name, list(answers), []

    def request(
        self, method: str, path: str, body: bytes = b"", media: str | None = None
    ) -> Answer:
        self.paths.append(f"{method} {path}")
        return self.answers.pop(0)

    def close(self) -> None:
        pass


def status(**changes: Any) -> Answer:
    values = {"state": "OPEN", "round": 0, "received": 100, "accepted": 0, "open_round": 0}
    return Answer(200, json.dumps(values | changes).encode())


def test_receipts_of_another_server_or_report_are_refused(parties):
    report, other = make_donations(parties.task, people(2), 0)

    def receipt(signer: int, server: int, report_id: bytes) -> Answer:
        key = parties.signers[signer]
        (signed,) = Receipt.sign(key, parties.task.task_id, server, [(report_id, 0, 0)])
        return Answer(201, signed.to_bytes())

    def send(answer: Answer) -> Receipt:
        ways = [Scripted("0", answer), Scripted("1"), Scripted("2")]
        return TaskServers(parties.signed, ways).put(0, report)

    assert send(receipt(0, 0, report.report_id)).server == 0
    with pytest.raises(ProtocolError, match="receipt of another report"):
        send(receipt(1, 1, report.report_id))
    with pytest.raises(ProtocolError, match="receipt of another report"):
        send(receipt(0, 0, other.report_id))
    with pytest.raises(ProtocolError, match="signature"):
        send(receipt(1, 0, report.report_id))


@pytest.mark.parametrize(
    "changes",
    [{"state": "DONE"}, {"state": []}, {"round": -1}, {"round": True}, {"error": 3}],
)
def test_malformed_statuses_are_refused(changes):
    with pytest.raises(ProtocolError, match="malformed"):
        ServerStatus.read(0, status(**changes).body)
    with pytest.raises(ProtocolError, match="malformed"):
        ServerStatus.read(0, b"[]")


def test_a_donor_waits_while_the_servers_are_between_rounds(parties):
    ways = [Scripted("0", status()), Scripted("1", status(open_round=1)), Scripted("2", status())]
    with pytest.raises(ProtocolError, match="between two rounds"):
        Donor(TaskServers(parties.signed, ways)).open_round()


def test_what_a_server_says_cannot_move_the_cursor():
    body = json.dumps({"code": "round-full", "detail": "full\x1b[2J\n" + "x" * 900}).encode()
    error = refusal("0 (A)", Answer(409, body))
    assert error.code == "round-full"
    assert "\x1b" not in str(error)
    assert len(str(error)) < 400
    assert "status 500" in str(refusal("0", Answer(500, b"<html>")))


def test_every_state_of_a_round_is_known():
    for state in RoundState:
        assert ServerStatus.read(1, status(state=state.value).body).state == state


# -- connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://example.org", "ftp://127.0.0.1", "https://", "nothing"])
def test_addresses_without_tls_are_refused(url):
    with pytest.raises(PlanError, match="https"):
        HttpConnection("0", url)


@contextmanager
def served(replies: list[tuple[int, dict[str, str], bytes]], certificate: Path | None = None):
    """Serve replies in their order, the last one again and again."""
    asked: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append((self.path, body))
            code, headers, data = replies[min(len(asked), len(replies)) - 1]
            self.send_response(code)
            for name, value in {**headers, "content-length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield SimpleNamespace(port=server.server_port, asked=asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_busy_server_is_asked_again_after_the_time_it_says():
    slept: list[float] = []
    replies = [(503, {"retry-after": "7"}, b""), (429, {}, b""), (201, {}, b"done")]
    with served(replies) as server:
        way = HttpConnection("0", f"http://127.0.0.1:{server.port}", sleep=slept.append)
        answer = way.request("PUT", "/x", b"abc", "text/plain")
        way.close()
    assert (answer.status, answer.body) == (201, b"done")
    assert slept == [7.0, 0.4]
    assert server.asked == [("/x", b"abc")] * 3


def test_patience_ends():
    with served([(503, {"retry-after": "20"}, b"")]) as server:
        url = f"http://127.0.0.1:{server.port}"
        way = HttpConnection("0", url, patience=10, sleep=lambda _: None)
        assert way.request("PUT", "/").status == 503
        way.close()
        port = server.port
    gone = HttpConnection("0", f"http://127.0.0.1:{port}", patience=0, timeout=2)
    with pytest.raises(ServerLost, match="server 0 does not answer"):
        gone.request("PUT", "/")


def test_an_answer_that_is_too_long_is_not_read():
    with served([(200, {}, b"x" * 101)]) as server:
        url = f"http://127.0.0.1:{server.port}"
        way = HttpConnection("0", url, patience=0, most_bytes=100)
        with pytest.raises(ServerLost, match="does not answer"):
            way.request("PUT", "/")
        way = HttpConnection("0", url, patience=0, most_bytes=101)
        assert len(way.request("PUT", "/").body) == 101
        way.close()


def test_a_server_is_known_by_its_certificate_alone(tmp_path: Path):
    pem, key = make_certificate("A", ["127.0.0.1"])
    other, _ = make_certificate("A", ["127.0.0.1"])
    (tmp_path / "both.pem").write_text(pem + key)
    with served([(200, {}, b"yes")], tmp_path / "both.pem") as server:
        url = f"https://127.0.0.1:{server.port}"
        way = HttpConnection("0", url, pem, patience=0)
        assert way.request("PUT", "/").body == b"yes"
        way.close()
        for certificate in (other, None):
            stranger = HttpConnection("0", url, certificate, patience=0, timeout=5)
            with pytest.raises(ServerLost, match="another certificate"):
                stranger.request("PUT", "/", b"secret")
            stranger.close()
    assert server.asked == [("/", b"")]


# -- what is kept --------------------------------------------------------------------------------


def test_a_donation_file_holds_the_report_until_all_receipts_are_there(parties, tmp_path: Path):
    (report,) = make_donations(parties.task, people(1), 0)
    path = tmp_path / "receipts.json"
    assert DonationFile.read(path) is None
    DonationFile.pending(parties.task, report).write(path)
    again = DonationFile.read(path)
    assert again.unsent(parties.task).data == report.data
    receipts = tuple(
        Receipt.sign(key, parties.task.task_id, server, [(report.report_id, 0, 0)])[0]
        for server, key in enumerate(parties.signers)
    )
    again.done(receipts).write(path)
    complete = DonationFile.read(path)
    assert report.data.hex() not in path.read_text()
    assert complete.checked_receipts(parties.task) == receipts
    with pytest.raises(PlanError, match="a person donates once"):
        complete.unsent(parties.task)
    with pytest.raises(PlanError, match="another task"):
        again.unsent(clients_task()[0].task)
    path.write_text("{}")
    with pytest.raises(PlanError, match="something else than receipts"):
        DonationFile.read(path)


def test_researchers_keys_are_read_by_their_owner_alone_and_never_written_over(tmp_path: Path):
    keys = ResearcherKeys.generate("mlkem768-x25519")
    keys.write(tmp_path / "keys")
    assert ResearcherKeys.read(tmp_path / "keys") == keys
    for path in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(EngineError, match="never written over"):
        ResearcherKeys.generate().write(tmp_path / "keys")
    assert keys.signer.secret_bytes().hex() not in repr(keys)
    with pytest.raises(PlanError, match="cannot be read"):
        ResearcherKeys.read(tmp_path)


def test_refusals_carry_the_servers_code(parties):
    body = json.dumps({"code": "round-full", "detail": "the round is full"}).encode()
    ways = [Scripted("0 (A)", Answer(409, body)), Scripted("1"), Scripted("2")]
    (report,) = make_donations(parties.task, people(1), 0)
    with pytest.raises(ServerRefused, match=r"server 0 \(A\) refuses: the round is full") as caught:
        TaskServers(parties.signed, ways).put(0, report)
    assert caught.value.code == "round-full"
    assert ways[0].paths == [
        f"PUT /v1/tasks/{parties.task.task_id.hex()}/reports/{report.report_id.hex()}"
    ]


def test_rows_of_a_table_are_taken_as_they_are(parties):
    rows = pl.DataFrame({"age": [31], "sex": [None], "smoking": ["never"], "glucose": [120]})
    (report,) = make_donations(parties.task, rows.cast({"sex": pl.String}), 0)
    assert len(report.data) == parties.task.layout.report_bytes
