"""The form page: what it says, and that nothing but a donor on this machine can use it."""

from __future__ import annotations

import http.client
import re
from html.parser import HTMLParser
from threading import Thread
from urllib.parse import urlencode

import pytest
from tests.donation.in_process import clients_task

from sfumato.donation.form import FormPages, FormServer, preview
from sfumato.errors import EngineError

ANSWERS = {"age": "31", "sex": "Male", "smoking": "never", "glucose": "120"}


@pytest.fixture(scope="module")
def task():
    return clients_task(title="Sugar <b>", purpose="To learn & help.")[0].task


class Page(HTMLParser):
    """Controls with their labels, and every address."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.labels: set[str] = set()
        self.controls: dict[str, dict[str, str | None]] = {}
        self.described: set[str] = set()
        self.ids: set[str] = set()
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.add(tag)
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "label":
            self.labels.add(given["for"])
        if tag in {"input", "select"} and given.get("type") != "hidden":
            self.controls[given["id"]] = given
            self.described |= set(given["aria-describedby"].split())
        self.addresses += [given[name] for name in ("href", "src", "action") if name in given]


def test_the_form_is_plain_labelled_and_asks_nobody(task):
    page = FormPages(task).questions({"age": '"><script>'}, {"age": "choose well"})
    found = Page(page)
    assert set(found.controls) == found.labels
    assert found.described <= found.ids
    assert not found.tags & {"script", "img", "link", "iframe"}
    assert found.addresses == ["preview"]
    assert "Sugar &lt;b&gt;" in page
    assert '"&gt;<script>' not in page
    assert "&lt;script&gt;" in page
    assert [c["aria-invalid"] for c in found.controls.values() if "aria-invalid" in c] == ["true"]
    age = next(c for c in found.controls.values() if c["name"] == "age")
    assert (age["min"], age["max"], age["step"]) == ("20", "35", "1")
    assert "required" in age
    sex = next(c for c in found.controls.values() if c["name"] == "sex")
    assert "required" not in sex


def test_the_form_says_what_it_promises_and_what_not(task):
    page = " ".join(FormPages(task).questions().split())
    assert "If two of the three servers act together, they can read every donation" in page
    assert "Shared only in a coarse form" in page
    assert "Shared exactly, if your row is drawn" in page
    for server in task.servers:
        assert server.name in page


def test_the_preview_shows_every_form_of_an_answer(task):
    coarse, exact = preview(task, ANSWERS)
    assert [line.shown for line in coarse] == [
        ("31", "[28, 32)", "[24, 32)", "*"),
        ("Male", "*"),
    ]
    assert [line.answer for line in exact] == ["never", "120"]
    page = FormPages(task).checked(ANSWERS)
    assert "[24, 32)" in page
    assert 'name="glucose" value="120"' in page
    again = FormPages(task).checked({**ANSWERS, "glucose": "9999"})
    assert "Choose a number from 80 to 400" in again
    assert "Donate this record" not in again


def ask(form: FormServer, method: str, path: str, answers=None, host=None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(form.host, timeout=10)
    body = urlencode(answers) if answers is not None else None
    connection.request(method, path, body, {"host": host or form.host})
    response = connection.getresponse()
    text = response.read().decode()
    if response.status == 200:
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "no-store"
    connection.close()
    return response.status, text


def test_a_donor_goes_from_questions_to_thanks_and_donates_once(task):
    rows = []

    def donate(row):
        rows.append(row)
        if len(rows) == 1:
            raise EngineError("server 1 does not answer: try again later")
        return ("receipt",)

    with FormServer(task, donate) as form:
        found: list[object] = []
        waiting = Thread(target=lambda: found.append(form.serve()))
        waiting.start()
        place = re.sub("^http://[^/]+", "", form.url)
        assert "Show what will be shared" in ask(form, "GET", place)[1]
        assert "Donate this record" in ask(form, "POST", f"{place}preview", ANSWERS)[1]
        assert 'value="120"' in ask(form, "POST", place, ANSWERS)[1]
        wrong = ask(form, "POST", f"{place}donate", {**ANSWERS, "age": "7"})[1]
        assert "Show what will be shared" in wrong
        assert not rows
        failed = ask(form, "POST", f"{place}donate", ANSWERS)[1]
        assert "Not donated yet: server 1 does not answer" in failed
        assert "Thank you" in ask(form, "POST", f"{place}donate", ANSWERS)[1]
        assert "Thank you" in ask(form, "POST", f"{place}donate", ANSWERS)[1]
        waiting.join(10)
    assert found == [("receipt",)]
    assert len(rows) == 2
    assert rows[1].row(0) == ("31", "Male", "never", "120")


def test_nobody_else_can_use_the_form(task):
    with FormServer(task, lambda row: pytest.fail("nobody donated")) as form:
        place = re.sub("^http://[^/]+", "", form.url)
        assert ask(form, "GET", "/")[0] == 404
        assert ask(form, "POST", "/guess/donate", ANSWERS)[0] == 404
        assert ask(form, "POST", f"{place}donate", ANSWERS, host="evil.example")[0] == 404
        assert ask(form, "POST", f"{place}elsewhere", ANSWERS)[0] == 404
        assert form.host.startswith("127.0.0.1:")
        connection = http.client.HTTPConnection(form.host, timeout=10)
        connection.putrequest("POST", f"{place}preview")
        connection.putheader("content-length", str((1 << 20) + 1))
        connection.endheaders()  # refused before the body is sent
        assert connection.getresponse().status == 413
        connection.close()
