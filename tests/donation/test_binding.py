"""Vote and record of a donor are of one cell, or its report is refused, alone, in both modes."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.donation.rounds import PARTS, QUASI_IDENTIFIERS, people, round_task
from tests.donation.tasks import QUESTIONS, Parties

from sfumato.donation.functions import VerificationKey
from sfumato.donation.messages import Report, make_report, open_report
from sfumato.donation.records import QuasiIdentifierQuestion, RecordCodec
from sfumato.donation.rounds import count_keys, count_layout
from sfumato.donation.rounds.accepting import Accepted, accept_reports
from sfumato.donation.rounds.binding import DigitMarks
from sfumato.donation.rounds.function_keys import check_count_layout
from sfumato.donation.rounds.mailboxes import mailbox_keys, mailbox_layout
from sfumato.donation.sharing import run_three

# 13 ages, so that some digits are no answer's and some rows of the table no cell's
AGES = {"minimum": 20, "maximum": 32}
ASKED = [
    QuasiIdentifierQuestion.model_validate(QUASI_IDENTIFIERS[0].model_dump() | {"range": AGES}),
    QUASI_IDENTIFIERS[1],
]
CODEC = RecordCodec.of(ASKED, QUESTIONS["sensitive"], 32)
KEY = VerificationKey(bytes(range(32)))
HONEST = people(24, 3).with_columns(pl.col("age").clip(20, 32))
MODES = ["shuffle", "dpf"]


def marks_of(records: np.ndarray, key: VerificationKey = KEY) -> np.ndarray:
    """The marks of records that are not shared."""
    marks = DigitMarks(CODEC, key)
    return marks.of_shares([records], 0) ^ marks.of_shares([np.zeros_like(records)], 1)


def every_cell() -> pl.DataFrame:
    sexes = ["Female", "Male", "Other", None]
    return pl.DataFrame(
        {
            "age": np.repeat(np.arange(20, 33), 4),
            "sex": sexes * 13,
            "smoking": ["never"] * 52,
            "glucose": np.arange(80, 132),
        }
    )


# ---------------------------------------------------------------- marks


def test_a_cell_is_marked_as_the_records_of_its_people():
    table = every_cell()
    found = DigitMarks(CODEC, KEY).of_cells()
    assert found.dtype == np.uint32
    assert CODEC.n_cells == 52
    assert sorted(CODEC.cells(table).tolist()) == list(range(52))
    assert np.array_equal(marks_of(CODEC.encode(table)), found[CODEC.cells(table)])
    # 52 numbers of 32 bits: two of them are alike for a key in three million
    assert len(set(found.tolist()) | {0}) == 53


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 9))
def test_shares_of_records_have_shares_of_their_marks(seed, count):
    random = np.random.default_rng(seed)
    marks = DigitMarks(CODEC, VerificationKey(random.bytes(32)))
    table = every_cell().sample(count, seed=seed % 1000)
    records, wanted = CODEC.encode(table), marks.of_cells()[CODEC.cells(table)]
    first, second = random.integers(0, 256, (2, *records.shape), np.uint8)
    third = records ^ first ^ second
    shuffled = marks.of_shares([first, second], 0), marks.of_shares([second, third], 1)
    assert np.array_equal(shuffled[0] ^ shuffled[1], wanted)
    mailed = marks.of_shares([first], 0), marks.of_shares([records ^ first], 1)
    assert np.array_equal(mailed[0] ^ mailed[1], wanted)


def test_every_bit_of_the_digits_is_marked_and_no_other():
    record = CODEC.encode(HONEST.head(1))
    octets = CODEC.sensitive_block.start
    flips = np.packbits(np.eye(8 * record.shape[1], dtype=np.uint8), axis=1)
    differences = marks_of(record ^ flips) ^ marks_of(record)
    assert CODEC.digit_bits % 8  # the last byte is filled up
    assert len(set(differences[: 8 * octets].tolist()) - {0}) == 8 * octets
    assert not differences[8 * octets :].any()


def test_a_difference_passes_for_a_key_as_often_as_for_a_random_number():
    """Of 6 of the 32 bits, as more would take too long: 16 of 1,024 keys, 4 to 34 but for 1e-4."""
    record = np.zeros((1, 32), np.uint8)
    others = [record.copy() for _ in range(3)]
    for other, octet in zip(others, (1, 0x80, 0xFF), strict=True):
        other[0, 0] = octet
    passed = np.zeros(4, int)
    for number in range(1024):
        key = VerificationKey(number.to_bytes(32, "big"))
        marked = marks_of(np.concatenate([record, *others]), key)
        # a vote beyond the cells has the mark zero, which no record may have either
        passed += (marked ^ np.array([0, *[marked[0]] * 3], np.uint32)) & 0x3F == 0
    assert ((passed >= 4) & (passed <= 34)).all()


# ---------------------------------------------------------------- reports


@cache
def parties_of(mode: str) -> Parties:
    return round_task(
        mode=mode,
        quasi_identifiers=ASKED,
        histogram=count_layout(CODEC),
        mailbox=mailbox_layout(CODEC, 256) if mode == "dpf" else None,
    )[0]


def report(mode: str, record: np.ndarray, cell: int) -> bytes:
    """A report whose record and vote are each well made."""
    task, report_id = parties_of(mode).task, os.urandom(16)
    content, boxes = record.tobytes(), ()
    if mode == "dpf":
        boxes, content = mailbox_keys(task, report_id, content, os.urandom), b""
    keys = count_keys(task, report_id, cell, os.urandom)
    return make_report(
        task, 0, content, report_id=report_id, histogram_keys=keys, mailbox_keys=boxes
    ).data


def honest_reports(mode: str, table: pl.DataFrame) -> list[bytes]:
    made = zip(CODEC.encode(table), CODEC.cells(table), strict=True)
    return [report(mode, record, int(cell)) for record, cell in made]


def accepted_by_three(mode: str, reports: list[bytes]) -> tuple[Accepted, ...]:
    parties = parties_of(mode)
    read = [Report.from_bytes(each, parties.task.layout) for each in reports]

    def work(party: Any) -> Accepted:
        envelope = parties.envelopes[party.index]
        opened = [open_report(parties.task, each, party.index, envelope) for each in read]
        return accept_reports(party, parties.task, opened, PARTS[party.index], counted=True)

    return run_three(work)


def check_counted(
    accepted: tuple[Accepted, ...], reports: list[bytes], table: pl.DataFrame
) -> None:
    """Check that these reports of these people were accepted and counted, and no other."""
    first, second, third = accepted
    task = parties_of("shuffle" if first.mailboxes is None else "dpf").task
    wanted = [Report.from_bytes(each, task.layout).report_id for each in reports]
    for each in accepted:
        assert [one.report_id for one in each.reports] == wanted
    assert third.table is None
    counts = first.table + second.table
    assert np.array_equal(counts, np.bincount(CODEC.cells(table), minlength=len(counts)))


LIES = [
    "the next cell",
    "the last cell",
    "another sex",
    "no cell",
    "no cell, of the first one",
    "an age that is none",
    "every digit",
    "the last bit",
]


def lying(mode: str, lie: str) -> bytes:
    """A report of one donor whose vote is not for the cell of its record."""
    table = HONEST.head(1).with_columns(age=pl.lit(27), sex=pl.lit("Female"))
    (record,), (cell,) = CODEC.encode(table), CODEC.cells(table)
    cell = int(cell)
    ages = CODEC.digits[0]
    if lie == "the next cell":
        cell += 1
    elif lie == "the last cell":
        cell = CODEC.n_cells - 1
    elif lie == "another sex":
        record = CODEC.encode(table.with_columns(sex=pl.lit("Male")))[0]
    elif lie == "no cell":
        cell = CODEC.n_cells
    elif lie == "no cell, of the first one":
        # all its digits are zero, as the mark of what is no cell is
        record, cell = CODEC.encode(every_cell())[0], CODEC.n_cells + 3
        assert not record[: CODEC.sensitive_block.start].any()
    elif lie == "an age that is none":
        strange = min(set(range(1 << ages.bits)) - set(ages.words.tolist()))
        record[0] = strange << (8 - ages.bits) | record[0] & (0xFF >> ages.bits)
    elif lie == "every digit":
        record[0] = 0xFF
    elif lie == "the last bit":
        record[0] ^= 1
    return report(mode, record, cell)


@pytest.mark.parametrize("mode", MODES)
def test_a_donor_whose_vote_is_not_of_its_record_is_refused_alone(mode):
    assert check_count_layout(parties_of(mode).task).size == 64
    reports = honest_reports(mode, HONEST)
    lies = [lying(mode, lie) for lie in LIES]
    mixed = [*lies[:3], *reports[:12], *lies[3:6], *reports[12:], *lies[6:]]
    accepted = accepted_by_three(mode, mixed)
    check_counted(accepted, reports, HONEST)
    if mode == "dpf":
        # what is left in the mailboxes are the honest donors' records too
        first, second = (each.mailboxes for each in accepted[:2])
        written = [one ^ two for one, two in zip(first.tables, second.tables, strict=True)]
        payloads = np.bitwise_xor.reduce(CODEC.encode(HONEST), axis=0)[: CODEC.used_bytes]
        for table in written:
            found = np.bitwise_xor.reduce(table, axis=0)[24 : 24 + CODEC.used_bytes]
            assert np.array_equal(found, payloads)


@pytest.mark.parametrize("mode", MODES)
def test_hundreds_of_honest_donors_are_accepted_with_their_records(mode):
    table = pl.concat([every_cell()] * 4)
    reports = honest_reports(mode, table)
    accepted = accepted_by_three(mode, reports)
    check_counted(accepted, reports, table)
    if mode == "dpf":
        first, second, third = (each.mailboxes.records for each in accepted)
        assert np.array_equal(first ^ second, CODEC.encode(table)[:, : CODEC.used_bytes])
        assert third is None


def test_the_records_of_accepted_donors_are_in_their_order():
    """Who is refused for the keys of mailboxes, or for the vote, leaves no gap."""
    reports = honest_reports("dpf", HONEST)
    record, task = CODEC.encode(HONEST)[0], parties_of("dpf").task
    report_id = os.urandom(16)
    boxes = mailbox_keys(task, report_id, record.tobytes(), os.urandom)
    other = mailbox_keys(task, report_id, record.tobytes(), os.urandom)
    keys = count_keys(task, report_id, int(CODEC.cells(HONEST)[0]), os.urandom)
    three = (boxes[0], boxes[1], other[2])
    unlike = make_report(
        task, 0, b"", report_id=report_id, histogram_keys=keys, mailbox_keys=three
    ).data
    mixed = [lying("dpf", "every digit"), *reports[:7], unlike, *reports[7:]]
    accepted = accepted_by_three("dpf", [*mixed, lying("dpf", "the next cell")])
    check_counted(accepted, reports, HONEST)
    first, second = (each.mailboxes.records for each in accepted[:2])
    assert np.array_equal(first ^ second, CODEC.encode(HONEST)[:, : CODEC.used_bytes])
