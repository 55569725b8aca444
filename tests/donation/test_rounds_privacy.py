"""What one server sees in a whole round tells nothing of an answer, nor of a record's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.donation.rounds import Servers, donations, round_task
from tests.donation.tasks import QUESTIONS

from sfumato.donation.records import QuasiIdentifierQuestion, RecordCodec
from sfumato.donation.rounds import RoundSettings, RoundState, count_layout
from sfumato.donation.rounds import round as round_module
from sfumato.donation.rounds.mailboxes import mailbox_layout
from sfumato.donation.sharing import reconstruct

SEX = QuasiIdentifierQuestion(
    column="sex", label="Your sex?", hierarchy={"flat": True}, choices=["Female", "Male"]
)
DONORS = 12
ROUNDS = 24
SAMPLED = 400


class Witness:
    """Channels that keep the beginning of every frame that a server receives."""

    def __init__(self, inner: Any, heard: list[np.ndarray]) -> None:
        self._inner, self._heard = inner, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def receive(self, sender: int) -> memoryview:
        data = self._inner.receive(sender)
        self._heard.append(np.frombuffer(data, np.uint8)[:256])
        return data


def one_round(folder: Path, parties: Any, smokes: np.ndarray, monkeypatch: Any) -> Any:
    """Return each server's view, its shares before and after, and the records in shuffled order."""
    table = pl.DataFrame(
        {
            "sex": ["Female"] * DONORS,
            "smoking": np.where(smokes, "current", "never"),
            "glucose": np.arange(80, 80 + DONORS),
        }
    )
    servers = Servers(folder, parties, RoundSettings(audited=False)).start()
    reports = donations(parties, table)
    servers.take(reports)
    at = parties.task.layout.id_at
    order = np.argsort([report[at : at + 16] for report in reports])  # as servers hold them
    heard: list[list[np.ndarray]] = [[], [], []]
    servers.alter = lambda index, inner: Witness(inner, heard[index])
    before: dict[int, Any] = {}
    after: dict[int, Any] = {}
    shuffle = round_module.shuffle

    def kept(party: Any, shares: Any, randomness: Any) -> Any:
        before[party.index] = shares
        after[party.index] = shuffle(party, shares, randomness)
        return after[party.index]

    monkeypatch.setattr(round_module, "shuffle", kept)
    assert servers.run() == [RoundState.ERASED] * 3
    monkeypatch.undo()
    servers.stop()
    views = [np.concatenate(one) for one in heard]
    return views, before, after, reconstruct([after[index] for index in range(3)]), order


def area(features: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the AUC of a logistic regression on held-out rounds, and its error if it is .5."""
    half = len(labels) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    model.fit(features[:half], labels[:half])
    scores = model.decision_function(features[half:])
    positive, negative = scores[labels[half:]], scores[~labels[half:]]
    better = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    p, n = len(positive), len(negative)
    return float(better), float(np.sqrt((p + n + 1) / (12 * p * n)))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["shuffle", "dpf"])
def test_a_classifier_learns_nothing_from_what_one_server_saw(tmp_path, monkeypatch, mode):
    codec = RecordCodec.of([SEX], QUESTIONS["sensitive"], 8)
    changes: dict[str, Any] = {"mailbox": mailbox_layout(codec, 40)} if mode == "dpf" else {}
    parties, _ = round_task(
        quasi_identifiers=[SEX],
        record_bytes=8,
        histogram=count_layout(codec),
        k=2,
        n_min=2,
        mode=mode,
        **changes,
    )
    smokes = np.random.default_rng(5).integers(0, 2, (ROUNDS, DONORS)).astype(bool)
    random = np.random.default_rng(7)
    seen: list[list[np.ndarray]] = [[], [], []]
    control, first_half = [], []
    chosen: dict[int, np.ndarray] = {}
    start = parties.task.codec.sensitive_block.start
    for number in range(ROUNDS):
        records = np.zeros((0, 0))
        attempt = 0
        # few mailboxes lose a few records now and then: such a round is held again, anew
        while len(records) < DONORS:
            folder = tmp_path / f"{number}-{attempt}"
            views, before, after, records, order = one_round(
                folder, parties, smokes[number], monkeypatch
            )
            attempt += 1
            assert attempt < 10
        octets = records[:, start + 1 : start + 3].astype(int)
        donor_of_row = octets[:, 0] * 256 + octets[:, 1]  # glucose: each donor's own
        for donor in range(DONORS):
            place = int(np.flatnonzero(donor_of_row == donor)[0])
            first_half.append(place < DONORS // 2)
            control.append((donor_of_row == donor).astype(float))
            for server in range(3):
                # in the mode dpf the rows before the shuffle are in no order of donors
                row = int(np.flatnonzero(order == donor)[0])
                shares = (before[server], after[server])
                own = [part[row] for one in shares for part in (one.first, one.second)]
                where = chosen.setdefault(server, random.choice(len(views[server]) - 9, SAMPLED))
                held = [part.reshape(-1) for part in (after[server].first, after[server].second)]
                rest = np.take(views[server], where, mode="clip")
                seen[server].append(np.concatenate([*own, *held, rest]))
    labels = {"smokes": smokes.reshape(-1), "first half": np.array(first_half)}
    # the classifier can learn: from the whole records, which need two servers, it reads the place
    found, error = area(np.array(control), labels["first half"])
    assert found > 0.5 + 4 * error
    for server in range(3):
        bits = np.unpackbits(np.array(seen[server]), axis=1).astype(float)
        for name, label in labels.items():
            found, error = area(bits, label)
            assert abs(found - 0.5) < 4 * error, (server, name, found, error)
