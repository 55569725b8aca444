"""How much one address, and all together, may ask of a server."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sfumato.settings import Settings

__all__ = ["AddressLimits", "Limits"]

_MOST_ADDRESSES = 65_536
_NETWORK_BITS = 64


def _rate(value: Any) -> Any:
    """Return 0 for a limit that is said to be none: TOML knows no other word for it."""
    return 0.0 if value is None or value == "none" else value


class Limits(Settings):
    """The limits of a server.

    Parameters
    ----------
    requests_per_second
        Of one address, in the long run; 0 (or ``"none"``) for no limit.
    burst
        How many requests an address may send at once.
    most_waiting
        How many reports may wait for the disk.
    body_seconds
        How long a request's body may take to arrive.
    """

    requests_per_second: Annotated[
        float, BeforeValidator(_rate), Field(ge=0, allow_inf_nan=False)
    ] = 10.0
    burst: Annotated[int, Field(ge=1)] = 50
    most_waiting: Annotated[int, Field(ge=1)] = 10_000
    body_seconds: Annotated[float, Field(gt=0)] = 10.0


class AddressLimits:
    """A bucket of requests for each address, refilled with time.

    Addresses stand in memory only, and the ones that were quiet longest are forgotten first. Of
    IPv6 a network of 64 bits counts as one address: who has one has all of its addresses.
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
        if not self._rate:
            return 0
        if ":" in address:
            address = _network(address)
        left, since = self._left.pop(address, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._rate)
        wait = 0 if left >= 1 else int((1 - left) / self._rate) + 1
        self._left[address] = (left if wait else left - 1, now)
        if len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        return wait


def _network(address: str) -> str:
    """Return the network of an IPv6 address, or the IPv4 address that it stands for."""
    try:
        full = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if full.ipv4_mapped is not None:
        return str(full.ipv4_mapped)
    return f"{int(full) >> (128 - _NETWORK_BITS):x}/{_NETWORK_BITS}"
