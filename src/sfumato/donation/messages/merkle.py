"""One hash for many entries (RFC 9162, section 2.1): the tree's root, and paths to its entries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

__all__ = ["merkle_path", "merkle_root", "root_of_path"]


def merkle_root(entries: Sequence[bytes]) -> bytes:
    """Return the root (32 bytes) of the tree over entries in their order.

    Entries and inner nodes are hashed with different first bytes, so that no node passes for an
    entry. The root over nothing is the hash of nothing.
    """
    level = [_leaf(entry) for entry in entries]
    if not level:
        return hashlib.sha256().digest()
    while len(level) > 1:
        level = _above(level)
    return level[0]


def merkle_path(entries: Sequence[bytes], position: int) -> tuple[bytes, ...]:
    """Return the neighbours, from the bottom up, by which an entry leads to the root.

    Parameters
    ----------
    entries
        All of them, in their order.
    position
        Of the entry, 0 to n - 1.
    """
    level = [_leaf(entry) for entry in entries]
    path = []
    while len(level) > 1:
        if position ^ 1 < len(level):
            path.append(level[position ^ 1])
        level = _above(level)
        position //= 2
    return tuple(path)


def root_of_path(entry: bytes, position: int, count: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root to which an entry leads, or None if the path has the wrong length.

    Parameters
    ----------
    entry
        The entry.
    position, count
        Where it stands among how many.
    path
        What :func:`merkle_path` returned.
    """
    node = _leaf(entry)
    rest = list(reversed(path))
    last = count - 1
    while last > 0:
        if position ^ 1 <= last:  # otherwise the node has no neighbour and rises as it is
            if not rest:
                return None
            neighbour = rest.pop()
            node = _node(neighbour, node) if position & 1 else _node(node, neighbour)
        position //= 2
        last //= 2
    return None if rest else node


def _leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _above(level: list[bytes]) -> list[bytes]:
    nodes = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    return nodes + level[-1:] if len(level) % 2 else nodes
