"""One hash for many entries (RFC 9162, section 2.1): the tree's root, and paths to its entries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

__all__ = ["merkle_path", "merkle_root", "root_of_path", "sparse_tree"]

_HASH_BYTES = 32


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


def sparse_tree(
    entries: Mapping[int, bytes], depth: int, random_bytes: Callable[[int], bytes]
) -> tuple[bytes, dict[int, tuple[bytes, ...]]]:
    """Return the root of a full tree in which few places are taken, and each entry's path.

    Where nothing is, the node is random bytes, as the hash of something unknown is too: a path does
    not tell how many other entries there are. :func:`root_of_path` reads it as one of a tree of
    ``2 ** depth`` entries.

    Parameters
    ----------
    entries
        By their positions, 0 to ``2 ** depth - 1``; one at least.
    depth
        Of the tree, 1 or more; a path has as many neighbours.
    random_bytes
        Returns that many secret random bytes.
    """
    level = {position: _leaf(entry) for position, entry in entries.items()}
    levels = []
    for _ in range(depth):
        for position in [one ^ 1 for one in level if one ^ 1 not in level]:
            level[position] = random_bytes(_HASH_BYTES)
        levels.append(level)
        level = {one >> 1: _node(level[one], level[one + 1]) for one in level if not one & 1}
    paths = {
        position: tuple(nodes[position >> height ^ 1] for height, nodes in enumerate(levels))
        for position in entries
    }
    return level[0], paths


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
