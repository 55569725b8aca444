"""Labels of shared records, diversity of classes, and the sample."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.recoding import CellDomain, ClearNumbers, RecodingTree, Region, recode
from sfumato.donation.records import CategoryQuestion, QuasiIdentifierQuestion, RecordCodec
from sfumato.donation.rounds import labelling
from sfumato.donation.rounds.counting import added, reach, transposed
from sfumato.donation.rounds.labelling import class_of_records, diverse_classes
from sfumato.donation.rounds.sampling import kept_rows
from sfumato.donation.sharing import (
    BooleanShares,
    Party,
    open_to_all,
    outcomes_of_three,
    reconstruct,
    run_three,
    split,
)
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
        lambda party: class_of_records(party, shares[party.index], CODEC, tree, os.urandom, 1),
        audited=audited,
    )
    for labels in opened:
        assert labels.tolist() == expected.tolist()


def bent_tree(seed: int, classes: int) -> RecodingTree:
    """Return any regions in any order, as a server might make of it that bends the recoding."""
    generator = np.random.default_rng(seed)
    regions = []
    for _ in range(classes):
        levels = tuple(int(generator.integers(0, one.height + 1)) for one in DOMAIN.ladders)
        groups = tuple(
            int(generator.integers(0, len(one.sizes[level])))
            for one, level in zip(DOMAIN.ladders, levels, strict=True)
        )
        regions.append(Region(levels, groups))
    return RecodingTree(DOMAIN, tuple(dict.fromkeys(regions)))


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**6), classes=st.integers(1, 70), k=st.integers(1, 40))
def test_a_class_below_k_is_never_opened_whatever_the_recoding(
    seed: int, classes: int, k: int
) -> None:
    table = people(seed, 150)
    tree = bent_tree(seed, classes)
    owners = tree.owners()[CODEC.leaves(table)]
    sizes = np.bincount(owners[owners >= 0], minlength=len(tree))
    shares = split(BooleanShares, CODEC.encode(table), os.urandom)
    opened: list[np.ndarray] = []

    def seen(party: Party, values: BooleanShares) -> np.ndarray:
        found = open_to_all(party, values)
        if party.index == 0:
            opened.append(found.reshape(-1))
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(labelling, "open_to_all", seen)
        patched.setattr(labelling, "_BLOCK", 64)  # a class may lie in several blocks
        labels = run_three(
            lambda party: class_of_records(party, shares[party.index], CODEC, tree, os.urandom, k),
        )
    large = np.append(sizes >= k, False)
    expected = np.where(large[owners], owners, -1)
    for one in labels:
        assert one.tolist() == expected.tolist()
    # all that was opened: a bit of each class, then labels of large ones and nothing else
    assert opened[0].tolist() == large[:-1].tolist()
    assert np.concatenate(opened[1:]).tolist() == (expected + 1).tolist()


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4),
    st.integers(1, 70),
    st.integers(1, 90),
    st.integers(0, 1000),
)
def test_sums_of_bits_are_those_of_numbers(
    rows: list[int], places: int, bound: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    rows[0] = max(1, rows[0])
    bits = [generator.integers(0, 2, (count, 64 * 2), dtype=np.uint8) for count in rows]
    packed = [np.packbits(one, axis=1, bitorder="little").view("<u8") for one in bits]
    shares = [split(BooleanShares, one.astype(np.uint64), os.urandom) for one in packed]
    sums = sum(one.sum(axis=0).astype(int) << place for place, one in enumerate(bits))
    most = sum(count << place for place, count in enumerate(rows))

    def work(party: Party) -> tuple[BooleanShares, BooleanShares, BooleanShares]:
        planes = added(party, [each[party.index] for each in shares], most)
        return planes, reach(party, planes, bound), transposed(shares[0][party.index], places)

    made = run_three(work)
    planes, enough, turned = (reconstruct([one[part] for one in made]) for part in range(3))
    found = [np.unpackbits(one.view(np.uint8), bitorder="little").astype(int) for one in planes]
    assert len(planes) == most.bit_length()
    assert (sum(one << place for place, one in enumerate(found)) == sums).all()
    flags = np.unpackbits(enough.reshape(-1).view(np.uint8), bitorder="little")
    assert (flags == (sums >= bound)).all()
    back = np.unpackbits(turned.view(np.uint8).reshape(places, -1), axis=1, bitorder="little")
    assert (back[:, : rows[0]] == bits[0][:, :places].T).all()


def lying(party: Party, gate: int) -> None:
    """Flip a bit of the result of one AND message of a party, of those of several words."""
    honest, left = party.replicate, [gate]

    def lie(kind: type, part: np.ndarray) -> object:
        if party.channels.step == "AND" and part.size > 1:
            left[0] -= 1
            if left[0] == -1:
                part = part.copy()
                part.reshape(-1)[1] ^= part.dtype.type(4)
        return honest(kind, part)

    object.__setattr__(party, "replicate", lie)


@pytest.mark.parametrize(("liar", "gate"), [(0, 0), (1, 3), (2, 12), (0, 20)])
def test_a_flipped_gate_is_found_before_anything_is_opened(
    liar: int, gate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = people(4, 100)
    tree, _ = recoded(table, 6)
    shares = split(BooleanShares, CODEC.encode(table), os.urandom)

    def serve(party: Party) -> np.ndarray:
        if party.index == liar:
            lying(party, gate)
        return class_of_records(party, shares[party.index], CODEC, tree, os.urandom, 6)

    monkeypatch.setattr(labelling, "open_to_all", None)  # nothing comes so far
    for outcome in outcomes_of_three(serve, audited=True):
        assert isinstance(outcome, ProtocolError)
        assert "AND gate" in str(outcome)


@pytest.mark.parametrize(("liar", "gate"), [(0, 0), (1, 20), (2, 30)])
def test_diversity_opens_nothing_that_a_server_bent(
    liar: int, gate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = people(5, 200, illnesses=9)
    tree, labels = recoded(table, 20)
    shares = split(BooleanShares, CODEC.encode(table), os.urandom)

    def serve(party: Party) -> np.ndarray:
        if party.index == liar:
            lying(party, gate)
        args = (labels.astype(np.int32), len(tree), "illness", 4, os.urandom)
        return diverse_classes(party, shares[party.index], CODEC, *args)

    monkeypatch.setattr(labelling, "open_to_all", None)
    for outcome in outcomes_of_three(serve, audited=True):
        assert isinstance(outcome, ProtocolError)
        assert "AND gate" in str(outcome)


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
                os.urandom,
            ),
            audited=bound == 4,
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
