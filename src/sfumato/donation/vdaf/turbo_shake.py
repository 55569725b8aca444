"""TurboSHAKE128: SHAKE128 with half the rounds (RFC 9861, section 2)."""

from __future__ import annotations

from functools import cache

__all__ = ["TurboShake128"]

_RATE = 168
_ROUNDS = 12
_ALL = (1 << 64) - 1


@cache
def _round_constants() -> tuple[int, ...]:
    """Return the constants of the last twelve of Keccak's 24 rounds (FIPS 202, 3.2.5)."""
    register, bits = 1, []
    for _ in range(7 * 24):
        bits.append(register & 1)
        register <<= 1
        if register & 0x100:
            register ^= 0x171
    constants = [
        sum(bits[7 * index + power] << ((1 << power) - 1) for power in range(7))
        for index in range(24)
    ]
    return tuple(constants[-_ROUNDS:])


@cache
def _steps() -> tuple[tuple[int, int, int], ...]:
    """Where the rotation and the transposition put each lane: from, to, by (FIPS 202, 3.2.2-3)."""
    x, y, steps = 1, 0, [(0, 0, 0)]
    for turn in range(24):
        moved = (y, (2 * x + 3 * y) % 5)
        steps.append((x + 5 * y, moved[0] + 5 * moved[1], (turn + 1) * (turn + 2) // 2 % 64))
        x, y = moved
    return tuple(steps)


def _permute(lanes: list[int]) -> list[int]:
    """Keccak-p[1600, 12] on 25 lanes of 64 bits."""
    for constant in _round_constants():
        columns = [
            lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
            for x in range(5)
        ]
        parity = [
            columns[x - 1] ^ ((columns[(x + 1) % 5] << 1 | columns[(x + 1) % 5] >> 63) & _ALL)
            for x in range(5)
        ]
        moved = [0] * 25
        for start, end, by in _steps():
            lane = lanes[start] ^ parity[start % 5]
            moved[end] = (lane << by | lane >> (64 - by)) & _ALL
        lanes = [
            moved[place]
            ^ (~moved[place // 5 * 5 + (place + 1) % 5] & moved[place // 5 * 5 + (place + 2) % 5])
            for place in range(25)
        ]
        lanes[0] ^= constant
    return lanes


class TurboShake128:
    """A stream of bytes that depends on all of a message.

    Parameters
    ----------
    message
        Bytes of any length.
    domain
        The domain separation byte, 1 to 127.
    """

    def __init__(self, message: bytes, domain: int) -> None:
        padded = bytearray(message) + bytes((domain,))
        padded += bytes(-len(padded) % _RATE)
        padded[-1] ^= 0x80
        lanes = [0] * 25
        for start in range(0, len(padded), _RATE):
            for place in range(_RATE // 8):
                at = start + 8 * place
                lanes[place] ^= int.from_bytes(padded[at : at + 8], "little")
            lanes = _permute(lanes)
        self._lanes = lanes
        self._ready = self._block()

    def read(self, length: int) -> bytes:
        """Return the next `length` bytes."""
        while len(self._ready) < length:
            self._lanes = _permute(self._lanes)
            self._ready += self._block()
        taken, self._ready = self._ready[:length], self._ready[length:]
        return taken

    def _block(self) -> bytes:
        return b"".join(lane.to_bytes(8, "little") for lane in self._lanes[: _RATE // 8])
