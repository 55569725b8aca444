"""How much one address, and all together, may ask of a server."""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated

from pydantic import Field

from sfumato.settings import Settings

__all__ = ["AddressLimits", "Limits"]

_MOST_ADDRESSES = 65_536


class Limits(Settings):
    """The limits of a server.

    Parameters
    ----------
    requests_per_second
        Of one address, in the long run; None for no limit.
    burst
        How many requests an address may send at once.
    most_waiting
        How many reports may wait for the disk.
    body_seconds
        How long a request's body may take to arrive.
    """

    requests_per_second: Annotated[float, Field(gt=0)] | None = 10.0
    burst: Annotated[int, Field(ge=1)] = 50
    most_waiting: Annotated[int, Field(ge=1)] = 10_000
    body_seconds: Annotated[float, Field(gt=0)] = 10.0


class AddressLimits:
    """A bucket of requests for each address, refilled with time.

    Addresses stand in memory only, and the ones that were quiet longest are forgotten first.
    """

    def __init__(self, limits: Limits) -> None:
        self._rate = limits.requests_per_second
        self._burst = limits.burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str, now: float) -> int:
        """Return 0 if an address may ask, else after how many seconds it may.

        Parameters
        ----------
        address
            Who asks.
        now
            Seconds of a clock that never goes back.
        """
        if self._rate is None:
            return 0
        left, since = self._left.pop(address, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._rate)
        wait = 0 if left >= 1 else int((1 - left) / self._rate) + 1
        self._left[address] = (left if wait else left - 1, now)
        if len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        return wait
