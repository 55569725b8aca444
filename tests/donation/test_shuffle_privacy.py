"""What one server sees: uniform, whatever the records, their order or their bits are."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    KeyStream,
    Party,
    at_least,
    reconstruct,
    run_three,
    shuffle,
    split,
    unslice_shares,
    verify_gates,
)

RUNS = 100


class Recorder:
    """Channels that keep what a server receives."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.heard = inner, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def receive(self, sender: int) -> memoryview:
        data = self._inner.receive(sender)
        if not self._inner.step.startswith(("agree", "toss", "open")):
            self.heard.append(np.frombuffer(data, np.uint8))
        return data


class Known(KeyStream):
    """A stream that keeps the masks and orders a server draws: they are part of its view."""

    def __init__(self, inner: KeyStream, drawn: dict[str, list[np.ndarray]]) -> None:
        self._inner, self._drawn = inner, drawn

    def begin(self, purpose: str) -> Any:
        return self._inner.begin(purpose)

    def draw(self, shape: Any, dtype: Any, purpose: str) -> np.ndarray:
        words = self._inner.draw(shape, dtype, purpose)
        self._drawn.setdefault(purpose, []).append(words)
        return words


def parity_features(blocks: list[np.ndarray]) -> np.ndarray:
    """Bits of every exclusive or of at most three blocks: what masks would cancel in."""
    mixed = [
        np.bitwise_xor.reduce(chosen)
        for size in (1, 2, 3)
        for chosen in itertools.combinations(blocks, size)
    ]
    return np.unpackbits(np.concatenate(mixed).view(np.uint8)).astype(np.float32)


def area_under_curve(features: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """AUC of the difference of means, learnt on one half, on the other; and its error under .5."""
    half = len(labels) // 2
    learnt, tested = features[:half], features[half:]
    direction = learnt[labels[:half]].mean(0) - learnt[~labels[:half]].mean(0)
    scores = tested @ direction
    positive, negative = scores[labels[half:]], scores[~labels[half:]]
    better = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    size, other = len(positive), len(negative)
    return float(better), float(np.sqrt((size + other + 1) / (12 * size * other)))


@pytest.fixture(scope="module")
def views() -> tuple[list[list[list[np.ndarray]]], np.ndarray]:
    """Views of all three servers, of two different inputs by turns; and which it was."""
    labels = np.tile([False, True], RUNS // 2)
    inputs = [np.zeros((2, 1), np.uint64), np.full((2, 1), 2**64 - 1, np.uint64)]
    shares = [split(BooleanShares, inputs[int(label)], os.urandom) for label in labels]
    counts = [
        split(ArithmeticShares, np.full(64, 3 + 4 * int(label), np.uint32), os.urandom)
        for label in labels
    ]

    def work(party: Party) -> list[list[np.ndarray]]:
        seen = []
        for records, numbers in zip(shares, counts, strict=True):
            recorder = Recorder(party.channels)
            own = replace(party, channels=recorder, gates=[])
            out = shuffle(own, records[party.index], os.urandom)
            passes = [one.view(np.uint64) for one in recorder.heard if len(one) == 16]
            recorder.heard.clear()
            bits = at_least(own, numbers[party.index], 5, 4)
            gates = [one.view(np.uint64) for one in recorder.heard]
            verify_gates(own, os.urandom)
            given = records[party.index]
            words = [given.first, given.second, out.first, out.second]
            blocks = [one.reshape(-1) for one in words] + passes[:4]
            answers = [bits.planes.first, bits.planes.second, *gates]
            first = numbers[party.index].first.view(np.uint64)
            second = numbers[party.index].second.view(np.uint64)
            seen.append(
                [
                    parity_features(blocks),
                    np.concatenate([first, second, *(one.reshape(-1) for one in answers)]),
                ]
            )
        return seen

    return list(run_three(work)), labels


@pytest.mark.parametrize("server", range(3))
def test_a_view_of_the_shuffle_says_nothing_of_the_records(views, server):
    seen, labels = views
    features = np.stack([one[0] for one in seen[server]])
    area, error = area_under_curve(features, labels)
    assert abs(area - 0.5) < 4.5 * error
    share = features.mean(0)  # each bit of each combination is even
    assert abs(share - 0.5).max() < 6 * 0.5 / np.sqrt(RUNS)


@pytest.mark.parametrize("server", range(3))
def test_a_view_of_the_comparison_says_nothing_of_the_counts(views, server):
    seen, labels = views
    words = np.stack([one[1] for one in seen[server]])
    features = np.unpackbits(words.view(np.uint8), axis=1).astype(np.float32)
    area, error = area_under_curve(features, labels)
    assert abs(area - 0.5) < 4.5 * error
    assert abs(features.mean(0) - 0.5).max() < 6 * 0.5 / np.sqrt(RUNS)


def test_two_servers_together_see_all(views):
    """The same classifier on one share more: it must succeed, or the tests above say nothing."""
    labels = views[1]
    inputs = [np.zeros(2, np.uint64), np.full(2, 2**64 - 1, np.uint64)]
    features = []
    for label in labels:
        shares = split(BooleanShares, inputs[int(label)], os.urandom)
        features.append(parity_features([shares[0].first, shares[0].second, shares[1].second]))
    area, _ = area_under_curve(np.stack(features), labels)
    assert area == 1.0


def test_the_order_is_uniform_given_what_one_server_knows():
    """Given the two orders that it knows, the whole order is still uniform to each server."""
    records = np.arange(3, dtype=np.uint64).reshape(3, 1)
    shares = split(BooleanShares, records, os.urandom)
    runs = 120

    def work(party: Party) -> list[tuple[np.ndarray, tuple[int, ...]]]:
        results = []
        for _ in range(runs):
            drawn: dict[str, list[np.ndarray]] = {}
            streams = tuple(Known(stream, drawn) for stream in party.streams)
            out = shuffle(replace(party, streams=streams), shares[party.index], os.urandom)
            orders = [np.argsort(words) for words in drawn["permutation"]]
            results.append((out, tuple(np.concatenate(orders).tolist())))
        return results

    servers = run_three(work)
    orders = [
        tuple(reconstruct([server[run][0] for server in servers])[:, 0].tolist())
        for run in range(runs)
    ]
    assert chisquare(list(Counter(orders).values())).pvalue > 1e-6
    assert len(set(orders)) == 6
    for server in servers:
        # the order left when the first known one is undone
        known = [one[1] for one in server]
        assert all(len(one) == 6 for one in known)
        rest = Counter(
            tuple(np.asarray(whole)[np.argsort(one[:3])].tolist())
            for whole, one in zip(orders, known, strict=True)
        )
        agreed = Counter(
            int(whole[0] == np.arange(3)[list(one[:3])][list(one[3:])][0])
            for whole, one in zip(orders, known, strict=True)
        )
        assert chisquare(list(rest.values())).pvalue > 1e-6
        assert chisquare([agreed[0], agreed[1]], [runs * 2 / 3, runs / 3]).pvalue > 1e-6


def test_missing_component_is_uniform_given_two():
    """One server's shares fit every secret equally: the last component is a free uniform word."""
    bits = np.unpackbits(
        np.concatenate(
            [
                np.concatenate([one.second for one in split(BooleanShares, value, os.urandom)])
                for value in np.zeros((300, 4), np.uint8)
            ]
        )
    )
    assert abs(bits.mean() - 0.5) < 6 * 0.5 / np.sqrt(len(bits))


def test_opened_bits_of_the_comparison_are_right(views):
    counts = split(ArithmeticShares, np.array([3, 7], np.uint32), os.urandom)
    bits = run_three(lambda party: unslice_shares(at_least(party, counts[party.index], 5, 4)))
    assert reconstruct(bits).tolist() == [0, 1]
