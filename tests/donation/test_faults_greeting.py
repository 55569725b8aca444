"""A greeting that is none must not cost a sample that all three have signed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.donation.rounds import Servers, donations, people, round_task
from tests.donation.test_rounds_faults import finish, lie

from sfumato.donation.rounds import Interrupted, RoundSettings, RoundState
from sfumato.donation.rounds.journal import Journal
from sfumato.errors import EngineError

TABLE = people(40)
OPEN = RoundSettings(qid_open=True, audited=False)


@pytest.mark.parametrize("octet", [b"[", b"0", b"\xff"])
def test_a_greeting_that_is_none_costs_no_signed_sample(tmp_path, monkeypatch, octet: bytes):
    parties, researcher = round_task()
    servers = Servers(tmp_path, parties, OPEN).start()
    servers.take(donations(parties, TABLE))
    append = Journal.append
    victim = servers.rounds[0]._journal

    def full(self: Journal, line: Any) -> None:
        if self is victim and line["state"] == RoundState.SAMPLED:
            raise EngineError("no space left on device")
        append(self, line)

    # server 0 has signed and could not keep the signatures of the others, which have released
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", full)
        servers.run()
    assert servers.rounds[0].state is RoundState.LABELLED

    def garbage(octets: np.ndarray) -> np.ndarray:
        octets[:] = octet[0]
        return octets

    outcomes = lie(servers, 1, "greet", alter=garbage, to=0, skip=1)
    assert isinstance(outcomes[0], Interrupted)
    assert servers.rounds[0].state is RoundState.LABELLED
    servers.alter = lambda index, inner: inner
    finish(servers, researcher, TABLE)
    servers.stop()
