"""How three servers that begin an attempt find out from where the round goes on.

Each tells the other two how far it is, and all three draw the same conclusion:

1. One has the manifest signed by all three: the sample is fixed, so everybody takes that manifest
   up and releases. This goes before all else.
2. One has aborted: everybody does.
3. Nobody has frozen, and one holds fewer reports than a round needs: the round stays open.
4. All three have the same sample on their disks, not all signed: they sign it.
5. Else the round is run again from the frozen reports, with fresh randomness.

Why there are never two samples
-------------------------------
A server gives its shares of a sample to the researcher only when it holds three signatures of it,
and signs a sample only when its own shares of it are on the disk. Say sample A has been given away
by an honest server. Then both honest servers have signed A, and one holds all three signatures. A
further attempt needs all three servers, so that one as well, and by rule 1 it goes on with A. So
honest servers never *sign and give away* two. One corrupt server alone may hold signatures that no
honest one has; its own bundle lacks a component of every share, which is uniform, so it gives away
nothing.

Why a restart before that costs no certainty
--------------------------------------------
What the servers had opened is the recoding and the classes in an order that none of them knows, of
which the sample is a function. Whoever interrupts a round has seen that and no more; given it, the
sample is uniform within each class to it, as one of the three permutations is hidden from it. So
the choice to interrupt cannot depend on whose records are kept, the next order is fresh, and a
donor's record is in the one released sample with probability at most 1 - p, whatever was
interrupted. And that nothing can be learnt by comparing attempts, their freezes, accepted reports
and recodings must be the same: else the round is aborted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.rounds.exchanging import json_object, tell_both
from sfumato.donation.rounds.manifest import SignedManifest
from sfumato.donation.rounds.states import Deviation, Interrupted, TooFewDonors
from sfumato.donation.sharing import Party
from sfumato.errors import ProtocolError

__all__ = ["Conclusion", "Greeting", "greet"]


class Conclusion(Enum):
    """From where the round goes on."""

    RELEASE = auto()
    SIGN = auto()
    RUN = auto()


@dataclass(frozen=True)
class Greeting:
    """How far a server is.

    Parameters
    ----------
    settings
        What all three must have alike: task, round, options.
    held
        How many reports it holds; None if it has frozen.
    prepared
        The digest of the sample on its disk, or None.
    signed
        The manifest signed by all three, as JSON, or None.
    aborted
        Why it has aborted, or None.
    """

    settings: dict[str, Any]
    held: int | None
    prepared: str | None
    signed: dict[str, Any] | None
    aborted: str | None

    def to_bytes(self) -> bytes:
        """Return the greeting as JSON."""
        return json.dumps(self.__dict__, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes, server: int) -> Greeting:
        """Read a greeting.

        Raises
        ------
        Interrupted
            If it is none: nothing has been computed yet, and one of the others may have a sample
            that all have signed, so this ends nothing for good.
        """
        try:
            greeting = cls(**json_object(data))
        except (TypeError, ValueError):
            raise Interrupted(f"greeting: server {server} sent something else") from None
        kinds: tuple[tuple[Any, type], ...] = (
            (greeting.settings, dict),
            (greeting.held, int),
            (greeting.prepared, str),
            (greeting.signed, dict),
            (greeting.aborted, str),
        )
        if not all(value is None or isinstance(value, kind) for value, kind in kinds):
            raise Interrupted(f"greeting: server {server} sent something else")
        return greeting


def greet(
    party: Party, task: TaskConfiguration, own: Greeting
) -> tuple[Conclusion, SignedManifest | None]:
    """Exchange greetings and return the conclusion that all three draw.

    Raises
    ------
    Interrupted
        If the servers do not mean the same round, or one says what is no greeting.
    TooFewDonors
        If the round must stay open.
    Deviation
        If a peer has aborted, or two samples are signed.
    """
    said = tell_both(party, "greet", own.to_bytes())
    greetings = [
        own if server == party.index else Greeting.from_bytes(said[server], server)
        for server in range(3)
    ]
    for server, greeting in enumerate(greetings):
        if greeting.settings != own.settings:
            raise Interrupted(
                f"greeting: server {server} is set to {greeting.settings} and this one to "
                f"{own.settings}: all three must have the same"
            )
    signed = _signed(task, greetings, own.settings["round"])
    if signed is not None:
        return Conclusion.RELEASE, signed
    for server, greeting in enumerate(greetings):
        if greeting.aborted is not None:
            raise Deviation(f"server {server} has aborted the round: {greeting.aborted}")
    counts = [greeting.held for greeting in greetings if greeting.held is not None]
    if len(counts) == 3 and min(counts) < task.n_min:
        raise TooFewDonors(
            f"a server holds fewer reports than the {task.n_min} that a round needs (n_min): it "
            "stays open for more donors"
        )
    prepared = {greeting.prepared for greeting in greetings}
    if len(prepared) == 1 and None not in prepared:
        return Conclusion.SIGN, None
    return Conclusion.RUN, None


def _signed(
    task: TaskConfiguration, greetings: list[Greeting], number: int
) -> SignedManifest | None:
    found: SignedManifest | None = None
    for server, greeting in enumerate(greetings):
        if greeting.signed is None:
            continue
        try:
            signed = SignedManifest.from_dict(task, greeting.signed)
        except ProtocolError as error:
            raise Interrupted(f"greeting: server {server}: {error}") from None
        if signed.manifest.round_number != number:
            raise Interrupted(f"greeting: server {server} shows the manifest of another round")
        if found is not None and found.manifest.digest != signed.manifest.digest:
            raise Deviation(
                "greeting: all three servers have signed two samples of one round: neither may be "
                "released by this server",
                {
                    "manifest-one": found.manifest.to_bytes(),
                    "manifest-other": signed.manifest.to_bytes(),
                },
            )
        found = signed
    return found
