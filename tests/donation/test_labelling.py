"""Labels of shared records, diversity of classes, and the sample."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.donation.recoding import CellDomain, ClearNumbers, RecodingTree, recode
from sfumato.donation.records import CategoryQuestion, QuasiIdentifierQuestion, RecordCodec
from sfumato.donation.rounds.labelling import class_of_records, diverse_classes
from sfumato.donation.rounds.sampling import kept_rows
from sfumato.donation.sharing import BooleanShares, Party, outcomes_of_three, run_three, split
from sfumato.errors import InternalError, ProtocolError
from sfumato.table import Hierarchy

QUASI = (
    QuasiIdentifierQuestion(
        column="sex", label="Sex", hierarchy=Hierarchy.flat(), choices=("f", "m")
    ),
    QuasiIdentifierQuestion(
        column="age",
        label="Age",
        hierarchy=Hierarchy.bands([5, 20]),
        range={"minimum": 0, "maximum": 39, "resolution": 1},
    ),
)
ILLNESS = CategoryQuestion(
    column="illness", label="Illness", choices=tuple(f"illness {n}" for n in range(300))
)
CODEC = RecordCodec.of(QUASI, (ILLNESS,), 16)
DOMAIN = CellDomain(tuple(question.ladder for question in QUASI))


def people(seed: int, rows: int, illnesses: int = 5) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "sex": generator.choice(["f", "m"], rows),
            "age": generator.binomial(39, generator.random(rows)),
            "illness": [f"illness {n}" for n in generator.integers(0, illnesses, rows)],
        }
    )


def recoded(table: pl.DataFrame, k: int) -> tuple[RecodingTree, np.ndarray]:
    counts = np.bincount(CODEC.cells(table), minlength=DOMAIN.n_cells).astype(np.uint32)
    counts = counts.reshape(DOMAIN.shape)
    tree = recode(ClearNumbers(), counts, DOMAIN, records=table.height, k=k)
    return tree, tree.owners()[CODEC.leaves(table)]


@pytest.mark.parametrize(("seed", "rows"), [(0, 1), (1, 130), (2, 400)])
@pytest.mark.parametrize("audited", [False, True])
def test_labels_are_the_owners_of_the_cells(seed: int, rows: int, audited: bool) -> None:
    table = people(seed, rows)
    tree, expected = recoded(table, 6)
    shares = split(BooleanShares, CODEC.encode(table), os.urandom)
    opened = run_three(
        lambda party: class_of_records(party, shares[party.index], CODEC, tree, os.urandom),
        audited=audited,
    )
    for labels in opened:
        assert labels.tolist() == expected.tolist()


@pytest.mark.parametrize("liar", range(3))
def test_a_flipped_gate_is_found_before_a_label_is_opened(liar: int) -> None:
    table = people(4, 100)
    tree, _ = recoded(table, 6)
    shares = split(BooleanShares, CODEC.encode(table), os.urandom)

    def serve(party: Party) -> np.ndarray:
        if party.index == liar:
            honest = party.replicate

            def lying(kind: type, part: np.ndarray) -> object:
                if party.channels.step == "AND" and part.size > 1:
                    part = part.copy()
                    part.reshape(-1)[1] ^= part.dtype.type(4)
                return honest(kind, part)

            object.__setattr__(party, "replicate", lying)
        return class_of_records(party, shares[party.index], CODEC, tree, os.urandom)

    for outcome in outcomes_of_three(serve, audited=True):
        assert isinstance(outcome, ProtocolError)


def test_diversity_counts_different_answers_of_each_class() -> None:
    table = people(5, 300, illnesses=9)
    tree, labels = recoded(table, 20)
    shares = split(BooleanShares, CODEC.encode(table), os.urandom)
    found = {}
    for bound in (1, 4, 9, 300):
        opened = run_three(
            lambda party, bound=bound: diverse_classes(
                party,
                shares[party.index],
                CODEC,
                labels.astype(np.int32),
                len(tree),
                "illness",
                bound,
            )
        )
        found[bound] = opened[0].tolist()
    for bound, flags in found.items():
        expected = [
            table["illness"].filter(pl.Series(labels == number)).n_unique() >= bound
            for number in range(len(tree))
        ]
        assert flags == expected
    assert len({*map(tuple, found.values())}) > 1


@given(
    seed=st.integers(0, 1000),
    rows=st.integers(0, 300),
    classes=st.integers(1, 12),
    k=st.integers(1, 40),
    share=st.fractions(0, Fraction(99, 100), max_denominator=100),
)
def test_a_sample_keeps_all_but_the_rounded_up_share_of_each_class(
    seed: int, rows: int, classes: int, k: int, share: Fraction
) -> None:
    labels = np.random.default_rng(seed).integers(-1, classes, rows).astype(np.int32)
    kept = kept_rows(labels, classes, k, share)
    assert (np.diff(kept.rows) > 0).all()
    for number in range(classes):
        places = np.flatnonzero(labels == number)
        n = len(places)
        expected = places[: n - int(-(-n * share // 1))] if n >= k else places[:0]
        assert kept.rows[kept.classes == number].tolist() == expected.tolist()
        assert kept.class_sizes[number] == n
    small = sum(n for n in kept.class_sizes.tolist() if n < k)
    assert kept.suppressed == int((labels < 0).sum()) + small


def test_a_class_that_may_not_be_released_is_suppressed() -> None:
    labels = np.repeat(np.array([0, 1], dtype=np.int32), 10)
    kept = kept_rows(labels, 2, 5, Fraction(1, 2), np.array([True, False]))
    assert kept.rows.tolist() == [0, 1, 2, 3, 4]
    assert kept.suppressed == 10


@pytest.mark.parametrize(("share", "k"), [(Fraction(1), 2), (Fraction(-1, 3), 2), (Fraction(0), 0)])
def test_shares_out_of_range_are_refused(share: Fraction, k: int) -> None:
    with pytest.raises(InternalError):
        kept_rows(np.zeros(3, dtype=np.int32), 1, k, share)
