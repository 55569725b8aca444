"""Three servers as three threads of one process, for tests, examples and measurements."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypeVar

from sfumato.donation.sharing.channels import FramedChannels
from sfumato.donation.sharing.party import Party, Randomness
from sfumato.errors import ProtocolError

__all__ = ["MemoryChannels", "outcomes_of_three", "run_three"]

T = TypeVar("T")


class _Gone(ProtocolError):
    """The other end has closed: the effect of an error elsewhere, not its cause."""


class _MemoryLink:
    """A queue to a peer and one from it; what is written is handed over without a copy."""

    def __init__(
        self,
        peer: int,
        outgoing: SimpleQueue[memoryview | None],
        incoming: SimpleQueue[memoryview | None],
        timeout: float,
    ) -> None:
        self._peer, self._outgoing, self._incoming = peer, outgoing, incoming
        self._timeout = timeout

    def write(self, data: memoryview) -> None:
        self._outgoing.put(data.toreadonly())

    def read(self, length: int) -> memoryview:
        try:
            data = self._incoming.get(timeout=self._timeout)
        except Empty:
            raise ProtocolError(
                f"server {self._peer} has not answered within {self._timeout:g} s: start the round "
                "again once it is there"
            ) from None
        if data is None:
            self._incoming.put(None)
            raise _Gone(f"server {self._peer} has closed its channel")
        if len(data) != length:
            raise ProtocolError(
                f"server {self._peer} sent {len(data)} bytes where {length} were due"
            )
        return data

    def close(self) -> None:
        self._outgoing.put(None)


class MemoryChannels(FramedChannels):
    """Channels between threads."""

    @classmethod
    def three(cls, *, timeout: float = 60.0, number: int = 0) -> tuple[MemoryChannels, ...]:
        """Return the channels of the three servers.

        Parameters
        ----------
        timeout
            Seconds after which a silent peer is an error.
        number
            Number of the round.
        """
        queues: dict[tuple[int, int], SimpleQueue[memoryview | None]] = {
            (a, b): SimpleQueue() for a in range(3) for b in range(3) if a != b
        }
        return tuple(
            cls(
                {
                    peer: _MemoryLink(peer, queues[here, peer], queues[peer, here], timeout)
                    for peer in range(3)
                    if peer != here
                },
                number,
            )
            for here in range(3)
        )


def outcomes_of_three(
    function: Callable[[Party], T],
    *,
    randomness: Randomness = os.urandom,
    timeout: float = 60.0,
    audited: bool = False,
) -> list[T | BaseException]:
    """Run the same function as each of three servers; return what each gave or raised.

    Parameters
    ----------
    function
        What a server does; it finds its own input by ``party.index``.
    randomness
        Source of secret bytes, called by all three threads.
    timeout
        Seconds after which a silent peer is an error.
    audited
        Whether AND gates are kept for :func:`verify_gates`.
    """

    def serve(index: int) -> T:
        own = channels[index]
        try:
            return function(Party.agree(index, own, randomness, audited=audited))
        finally:
            own.close()

    channels = MemoryChannels.three(timeout=timeout)
    with ThreadPoolExecutor(3, thread_name_prefix="server") as pool:
        futures = [pool.submit(serve, index) for index in range(3)]
        errors = [future.exception() for future in futures]
    return [
        future.result() if error is None else error
        for future, error in zip(futures, errors, strict=True)
    ]


def run_three(
    function: Callable[[Party], T],
    *,
    randomness: Randomness = os.urandom,
    timeout: float = 60.0,
    audited: bool = False,
) -> tuple[T, T, T]:
    """Run the same function as each of three servers; return their results.

    Parameters are those of :func:`outcomes_of_three`.

    Raises
    ------
    BaseException
        What the first server raised that did not merely miss another one.
    """
    outcomes = outcomes_of_three(function, randomness=randomness, timeout=timeout, audited=audited)
    errors = [one for one in outcomes if isinstance(one, BaseException)]
    if errors:
        raise min(errors, key=lambda error: isinstance(error, _Gone))
    first, second, third = (one for one in outcomes if not isinstance(one, BaseException))
    return first, second, third
