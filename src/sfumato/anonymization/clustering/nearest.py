"""Clusters that grow from a seed by its nearest: k-member and k-nearest-neighbour clustering.

A seed is taken, the nearest join it until it has k people, and so on until fewer than k are left;
these go where they cost least. In k-member the nearest are those that widen the growing cluster
least; in k-nearest-neighbour clustering those that are nearest to the seed.

The cost of a cluster never falls when it grows, so what an entry would have cost earlier is a
lower bound of what it costs now: entries wait in a heap by that bound, and only the first is
weighed again. The result is that of weighing all of them each time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.clustering.measure import Tables, compiled, cost_of_box, cost_with

__all__ = ["Parts", "grow_clusters", "join_cheapest"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Parts = tuple[Integers, Integers, Integers]
"""Entry, cluster and people of each part: an entry may be parted between clusters."""


@compiled
def _sift(keys: Floats, items: Integers, start: int, size: int) -> None:
    """Let the entry at ``start`` sink to its place in a heap whose least entry is first."""
    key, item, place = keys[start], items[start], start
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            keys[right] < keys[child]
            or (keys[right] == keys[child] and items[right] < items[child])
        ):
            child = right
        if keys[child] > key or (keys[child] == key and items[child] > item):
            break
        keys[place], items[place] = keys[child], items[child]
        place = child
    keys[place], items[place] = key, item


@compiled
def grow_clusters(
    tables: Tables, codes: Codes, people: Integers, k: int, draws: Floats, by_seed: bool
) -> Parts:
    """Grow clusters of k people each.

    Parameters
    ----------
    tables
        Costs of the columns (q).
    codes, people
        Distinct entries, shape (m, q), and how many people have each, shape (m,), at least 1; at
        least k in all. An entry's people may be parted between clusters.
    k
        Least number of people of a cluster.
    draws
        Uniform numbers in [0, 1), one for each cluster that can be made, that choose the seeds.
    by_seed
        True: seeds are drawn, the nearest to the seed join it. False (k-member): a seed is the
        farthest from the one before, and those join that widen the cluster least.

    Notes
    -----
    J.-W. Byun, A. Kamra, E. Bertino, N. Li, "Efficient k-anonymization using clustering
    techniques", DASFAA 2007, algorithm 2 (k-member).
    """
    m, q = codes.shape
    left = people.copy()
    total = people.sum()
    capacity = m + total // k + 1
    entries = np.empty(capacity, dtype=np.int64)
    clusters = np.empty(capacity, dtype=np.int64)
    taken = np.empty(capacity, dtype=np.int64)
    parts = 0
    waiting = np.arange(m)
    n_waiting = m
    place_of = np.arange(m)
    low = np.empty((1, q), dtype=np.int32)
    high = np.empty((1, q), dtype=np.int32)
    keys = np.empty(m)
    items = np.empty(m, dtype=np.int64)
    seed = waiting[int(draws[0] * n_waiting)]
    cluster = 0
    while total >= k:
        if by_seed:
            seed = waiting[int(draws[cluster] * n_waiting)]
        else:
            farthest, reach = waiting[0], -1.0
            for place in range(n_waiting):
                entry = waiting[place]
                cost = cost_with(tables, codes, codes, seed, codes, codes, entry, np.inf)
                if cost > reach or (cost == reach and entry < farthest):
                    farthest, reach = entry, cost
            seed = farthest
        low[0], high[0] = codes[seed], codes[seed]
        size = 0
        for place in range(n_waiting):
            entry = waiting[place]
            keys[size] = cost_with(tables, codes, codes, seed, codes, codes, entry, np.inf)
            items[size] = entry
            # the seed itself first, before others that cost nothing either
            if entry == seed:
                keys[size] = -1.0
            size += 1
        for start in range(size // 2 - 1, -1, -1):
            _sift(keys, items, start, size)
        need = k
        while need > 0:
            entry = items[0]
            if not by_seed and keys[0] >= 0:
                cost = cost_with(tables, low, high, 0, codes, codes, entry, np.inf)
                if cost > keys[0]:
                    keys[0] = cost
                    _sift(keys, items, 0, size)
                    continue
            size -= 1
            keys[0], items[0] = keys[size], items[size]
            _sift(keys, items, 0, size)
            some = min(left[entry], need)
            entries[parts], clusters[parts], taken[parts] = entry, cluster, some
            parts += 1
            need -= some
            left[entry] -= some
            if left[entry] == 0:
                n_waiting -= 1
                last, gap = waiting[n_waiting], place_of[entry]
                waiting[gap] = last
                place_of[last] = gap
            for column in range(q):
                low[0, column] = min(low[0, column], codes[entry, column])
                high[0, column] = max(high[0, column], codes[entry, column])
        total -= k
        cluster += 1
    found = entries[:parts].copy(), clusters[:parts].copy(), taken[:parts].copy()
    rest = np.sort(waiting[:n_waiting])
    if len(rest) == 0:
        return found
    homes = join_cheapest(tables, codes, found, cluster, rest, left[rest])
    return (
        np.concatenate((found[0], rest)),
        np.concatenate((found[1], homes)),
        np.concatenate((found[2], left[rest])),
    )


@compiled
def join_cheapest(
    tables: Tables, codes: Codes, parts: Parts, n_clusters: int, rest: Integers, weights: Integers
) -> Integers:
    """Return for each left-over entry the cluster that it widens at the least cost to its people.

    Parameters
    ----------
    tables, codes
        Costs of the columns; all entries, shape (m, q).
    parts, n_clusters
        The clusters so far.
    rest, weights
        The entries to place, and how many rows have each, of one length. Each widens its cluster
        before the next is placed.
    """
    q = codes.shape[1]
    low = np.full((n_clusters, q), np.iinfo(np.int32).max, dtype=np.int32)
    high = np.full((n_clusters, q), -1, dtype=np.int32)
    sizes = np.zeros(n_clusters, dtype=np.int64)
    for part in range(len(parts[0])):
        cluster = parts[1][part]
        sizes[cluster] += parts[2][part]
        for column in range(q):
            code = codes[parts[0][part], column]
            low[cluster, column] = min(low[cluster, column], code)
            high[cluster, column] = max(high[cluster, column], code)
    costs = np.empty(n_clusters)
    for cluster in range(n_clusters):
        costs[cluster] = cost_of_box(tables, low, high, cluster)
    homes = np.empty(len(rest), dtype=np.int64)
    for number in range(len(rest)):
        entry = rest[number]
        best, least = 0, np.inf
        for cluster in range(n_clusters):
            size = sizes[cluster] + weights[number]
            limit = (least + sizes[cluster] * costs[cluster]) / size
            cost = cost_with(tables, low, high, cluster, codes, codes, entry, limit)
            increase = size * cost - sizes[cluster] * costs[cluster]
            if increase < least:
                best, least = cluster, increase
        homes[number] = best
        for column in range(q):
            low[best, column] = min(low[best, column], codes[entry, column])
            high[best, column] = max(high[best, column], codes[entry, column])
        sizes[best] += weights[number]
        costs[best] = cost_of_box(tables, low, high, best)
    return homes
