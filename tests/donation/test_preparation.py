"""A task assembled from a draft and signed by three, and tokens over files."""

from __future__ import annotations

import json
import stat
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.donation.tasks import make_parties
from tests.donation.tasks import registrar as known_registrar

from sfumato.cli import donation_preparation as commands
from sfumato.donation.messages import SignedTask, TaskConfiguration
from sfumato.donation.messages.signed_task import TaskProposal
from sfumato.donation.messages.task import donors_for_rows
from sfumato.donation.organisation import Organisation, ServerSettings
from sfumato.donation.organisation.assembling import assemble_task, read_draft
from sfumato.donation.organisation.token_office import TokenOffice, ask_for_token, finish_token
from sfumato.donation.protecting import SigningKey, check_token
from sfumato.errors import EngineError, PlanError, ProtocolError

DRAFT = """
title = "Smoking by age"
k = 250
k_of = "file"
deletion_share = 0.7
opens = 2026-01-01T00:00:00Z
closes = 2026-02-01T00:00:00Z
erased_by = 2026-03-01T00:00:00Z
researcher = "researcher.toml"

[[quasi_identifiers]]
column = "age"
label = "How old are you?"
hierarchy = { bands = [5, 10, 20], top = 90 }
range = { minimum = 18, maximum = 110 }

[[sensitive]]
kind = "category"
column = "smoker"
label = "Do you smoke?"
choices = ["never", "formerly", "yes"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with three servers, their cards, a researcher's party and a draft."""
    (tmp_path / "cards").mkdir()
    for index, name in enumerate(["clinic", "university", "union"]):
        settings = ServerSettings(index=index, name=name, port=9000 + index)
        made = Organisation.create(tmp_path / name, settings)
        made.card.write(tmp_path / "cards" / f"{index}.toml")
    parties = make_parties(tokens=False)
    envelope = parties.task.researcher.envelope
    (tmp_path / "researcher.toml").write_text(
        f'[researcher]\nname = "Dr. Example"\nverifying_key = "{"ab" * 32}"\n'
        f'envelope = {{ config_id = 0, public_key = "{envelope.public_key.hex()}" }}\n'
    )
    (tmp_path / "draft.toml").write_text(DRAFT)
    return tmp_path


# ---------------------------------------------------------------- k of the file


@pytest.mark.parametrize(
    ("rows", "share", "donors"),
    [
        (1, "0", 1),
        (1, "0.5", 2),
        (1, "0.7", 4),
        (250, "0", 250),
        (250, "0.5", 500),
        (250, "0.7", 834),
        (3, "0.1", 4),
        (9, "0.1", 10),
        (2, "0.999", 2000),
    ],
)
def test_donors_for_rows_at_the_edges(rows: int, share: str, donors: int) -> None:
    assert donors_for_rows(rows, Decimal(share)) == donors


@given(st.integers(1, 400), st.fractions(0, Fraction(99, 100), max_denominator=1000))
def test_donors_for_rows_are_the_least_that_leave_so_many(rows: int, share: Fraction) -> None:
    def left(n: int) -> int:
        return n - -(-n * share.numerator // share.denominator)

    found = donors_for_rows(rows, share)
    assert left(found) >= rows
    assert left(found - 1) < rows


def test_a_task_whose_classes_are_too_small_for_its_file_is_refused() -> None:
    assert make_parties(tokens=False, k=10, n_min=10, k_of_file=5).task.k_of_file == 5
    with pytest.raises(PlanError, match=r"left of 10 donors: k must be that at least \(got 9\)"):
        make_parties(tokens=False, k=9, n_min=10, k_of_file=5)
    plain = make_parties(tokens=False).task
    assert "k_of_file" not in plain.to_dict()  # what older tasks are named by has not changed


# ---------------------------------------------------------------- assembling and signing


def test_a_draft_becomes_a_task_that_three_sign_and_serve(place: Path, capsys: Any) -> None:
    draft, file, cards = place / "draft.toml", place / "task.toml", place / "cards"
    commands.task(draft, cards=cards, out=file, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["k"], told["k_of_file"]) == (834, 250)
    assert told["missing_signatures"] == ["clinic", "university", "union"]
    with pytest.raises(ProtocolError, match="not signed yet by clinic, university, union"):
        SignedTask.read(file)
    with pytest.raises(PlanError, match="is there already"):
        commands.task(draft, cards=cards, out=file)
    for name in ("union", "clinic"):
        commands.task(file, sign=place / name, as_json=True)
        told = json.loads(capsys.readouterr().out)
    assert told["missing_signatures"] == ["university"]
    with pytest.raises(ProtocolError, match="not signed yet by university"):
        commands.task(file, join=place / "clinic", cards=cards)
    commands.task(file, sign=place / "university")
    said = capsys.readouterr().out
    assert "signed by all three" in said
    assert "at least 834 donors look alike, and 250 rows of the file" in said
    assert "ab" * 32 in said
    signed = SignedTask.read(file)
    assert TaskProposal.read(file).complete() == signed
    for name in ("clinic", "university", "union"):
        commands.task(file, join=place / name, cards=cards)
        assert Organisation(place / name).task == signed
        assert Organisation(place / name).closing_key == bytes.fromhex("ab" * 32)
    clinic = place / "clinic" / "server.toml"
    clinic.write_text(f'closing_key = "{"cd" * 32}"\n' + clinic.read_text())
    with pytest.raises(PlanError, match="closing_key is not the researcher's key"):
        _ = Organisation(place / "clinic").closing_key
    # who closes the round is signed by all three: another one is another task
    values = signed.configuration.to_dict()
    values["researcher"]["verifying_key"] = "cd" * 32
    with pytest.raises(ProtocolError, match="changed, or signed by another"):
        SignedTask(TaskConfiguration.of(values), signed.signatures)


def test_a_signature_that_does_not_hold_is_never_kept(place: Path) -> None:
    cards = [Organisation(place / name).card for name in ("clinic", "university", "union")]
    task = assemble_task(read_draft(place / "draft.toml"), cards)
    proposal = TaskProposal(task)
    stranger = SignedTask.signature(task, SigningKey.generate())
    with pytest.raises(ProtocolError, match="changed, or signed by another"):
        proposal.signed(1, stranger)
    with pytest.raises(ProtocolError, match="all 3 servers"):
        TaskProposal(task, (b"",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k_of": "rows"}, "k_of must be"),
        ({"histogram": {}}, "must not say histogram"),
        ({"k_of_file": 3}, "must not say k_of_file"),
        ({"k": None}, "k"),
        ({"deletion_share": 1}, "deletion_share"),
        ({"researcher": "nobody.toml"}, "nobody.toml"),
        ({"researcher": "draft.toml"}, "needs one table"),
        ({"strange": 1}, "strange"),
    ],
)
def test_a_draft_that_cannot_be_is_refused(
    place: Path, change: dict[str, Any], message: str
) -> None:
    import tomlkit

    values = tomlkit.parse(DRAFT).unwrap() | change
    path = place / "other.toml"
    path.write_text(tomlkit.dumps({name: value for name, value in values.items() if value != None}))  # noqa: E711
    cards = [Organisation(place / name).card for name in ("clinic", "university", "union")]
    with pytest.raises(PlanError, match=message):
        assemble_task(read_draft(path), cards)


def test_mailboxes_and_plain_k_follow_from_a_draft(place: Path) -> None:
    cards = [Organisation(place / name).card for name in ("union", "university", "clinic")]
    draft = read_draft(place / "draft.toml") | {"mode": "dpf", "k_of": "donors", "n_max": 3000}
    task = assemble_task(draft, cards)
    assert (task.k, task.k_of_file, task.n_min) == (250, None, 2500)
    assert [server.name for server in task.servers] == ["clinic", "university", "union"]
    assert task.mailbox is not None
    with pytest.raises(PlanError, match="three servers"):
        assemble_task(draft, cards[:2])


# ---------------------------------------------------------------- tokens


@pytest.fixture
def office(tmp_path: Path) -> tuple[TokenOffice, Any]:
    """A registrar's folder, and a task that names it."""
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "key").write_bytes(known_registrar().secret_bytes())
    return TokenOffice(folder), make_parties().signed


def test_a_token_is_asked_for_issued_and_finished(
    office: tuple[TokenOffice, Any], tmp_path: Path, capsys: Any
) -> None:
    signed = office[1]
    signed.write(tmp_path / "task.toml")
    task, request = tmp_path / "task.toml", tmp_path / "request.json"
    answer, token = tmp_path / "answer.json", tmp_path / "token.json"
    commands.token(task, ask=request, as_json=True)
    secret = Path(json.loads(capsys.readouterr().out)["secret"])
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    commands.token(
        task, issue=request, registrar=tmp_path / "registry", person="patient 7", out=answer
    )
    commands.token(task, finish=answer, request=request, out=token)
    values = {name: bytes.fromhex(text) for name, text in json.loads(token.read_text()).items()}
    key = signed.configuration.registrar.public_key
    check_token(key, signed.task_id, values["report_id"], values["token"])
    # what the registrar saw holds neither the number nor the token
    seen = request.read_text() + answer.read_text()
    assert values["report_id"].hex() not in seen
    assert values["token"].hex() not in seen
    # the same request again, but not another one for the same person
    office[0].issue(signed.configuration, request, "patient 7", answer)
    with pytest.raises(PlanError, match="is there already"):
        ask_for_token(signed.configuration, request)
    ask_for_token(signed.configuration, tmp_path / "second.json")
    with pytest.raises(ProtocolError, match="has been given one already"):
        office[0].issue(signed.configuration, tmp_path / "second.json", "patient 7", answer)
    with pytest.raises(ProtocolError):  # the answer to another request
        finish_token(signed.configuration, tmp_path / "second.json", answer, token)


def test_tokens_are_of_one_task_and_one_registrar(
    office: tuple[TokenOffice, Any], tmp_path: Path
) -> None:
    signed, other = office[1].configuration, make_parties().signed.configuration
    request = tmp_path / "request.json"
    ask_for_token(signed, request)
    with pytest.raises(ProtocolError, match="for another task"):
        office[0].issue(other, request, "patient 7", tmp_path / "answer.json")
    none = make_parties(tokens=False).task
    with pytest.raises(ProtocolError, match="does not name the key"):
        office[0].issue(none, request, "patient 7", tmp_path / "answer.json")
    with pytest.raises(PlanError, match="has no registrar"):
        ask_for_token(none, tmp_path / "none.json")
    request.write_text("{}")
    with pytest.raises(PlanError, match="is not a request"):
        office[0].issue(signed, request, "patient 7", tmp_path / "answer.json")
    with pytest.raises(EngineError, match="never written over"):
        TokenOffice.create(tmp_path / "registry", "Clinic")
    with pytest.raises(PlanError, match="no registrar's key"):
        TokenOffice(tmp_path)


def test_what_is_missing_on_the_line_is_said(place: Path) -> None:
    file = place / "draft.toml"
    for wrong in ({}, {"ask": file, "issue": file}):
        with pytest.raises(PlanError, match="give one of --init"):
            commands.token(file, **wrong)
    for wrong, needs in (
        ({"init": place / "office"}, "--name"),
        ({"issue": file}, "--registrar, --person and --out"),
        ({"finish": file}, "--request and --out"),
    ):
        with pytest.raises((PlanError, ProtocolError), match=f"{needs}|configuration"):
            commands.token(file, **wrong)
    with pytest.raises(PlanError, match="give the task"):
        commands.token(None, ask=file)
    with pytest.raises(PlanError, match="--out assembles"):
        commands.task(file, out=place / "task.toml")
    commands.token(init=place / "office", name="Clinic")
    assert read_draft(place / "office" / "registrar.toml")["registrar"]["name"] == "Clinic"
