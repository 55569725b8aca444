"""One-pass k-means for k-anonymity (OKA): random seeds, one pass, then trim and refill."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.clustering.measure import Tables, compiled, cost_of_box, cost_with
from sfumato.anonymization.clustering.nearest import Parts

__all__ = ["one_pass_clusters"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


@compiled
def one_pass_clusters(
    tables: Tables, codes: Codes, people: Integers, k: int, seeds: Integers, order: Integers
) -> Parts:
    """Cluster by one pass over the entries.

    Each entry joins the cluster whose seed is nearest. Then every cluster of more than k people
    gives up those farthest from its seed, and they join those of the clusters with fewer than k
    that they widen at the least cost, or, when there is none left, of all.

    Parameters
    ----------
    tables
        Costs of the columns (q).
    codes, people
        Distinct entries, shape (m, q), and how many people have each, shape (m,), at least 1.
    k
        Least number of people of a cluster.
    seeds
        The entry of each seed, shape (c,), drawn among the people; c is all people over k, rounded
        down, so that all clusters can be filled.
    order
        In which order the entries are taken, shape (m,).

    Notes
    -----
    J.-L. Lin, M.-C. Wei, "An efficient clustering method for k-anonymization", PAIS 2008. There,
    surplus people are taken one by one at random, and the centre of a cluster moves with those who
    join it; here they are taken in the given order, and the centre is the seed.
    """
    m, q = codes.shape
    c = len(seeds)
    left = people.copy()
    for cluster in range(c):
        left[seeds[cluster]] -= 1
    home = np.full(m, -1, dtype=np.int64)
    distance = np.zeros(m)
    for number in range(m):
        entry = order[number]
        if left[entry] == 0:
            continue
        best, least = 0, np.inf
        for cluster in range(c):
            cost = cost_with(tables, codes, codes, seeds[cluster], codes, codes, entry, least)
            if cost < least:
                best, least = cluster, cost
        home[entry], distance[entry] = best, least

    capacity = 2 * m + 3 * c + 1
    entries = np.empty(capacity, dtype=np.int64)
    clusters = np.empty(capacity, dtype=np.int64)
    taken = np.empty(capacity, dtype=np.int64)
    parts = 0
    for cluster in range(c):
        entries[parts], clusters[parts], taken[parts] = seeds[cluster], cluster, 1
        parts += 1
    # the members of each cluster, the nearest to its seed first
    nearest = np.argsort(distance, kind="mergesort")
    filled = np.ones(c, dtype=np.int64)
    surplus = np.zeros(m, dtype=np.int64)
    for number in range(m):
        entry = nearest[number]
        cluster = home[entry]
        if cluster < 0:
            continue
        some = min(left[entry], k - filled[cluster])
        surplus[entry] = left[entry] - some
        if some > 0:
            entries[parts], clusters[parts], taken[parts] = entry, cluster, some
            parts += 1
            filled[cluster] += some

    costs = np.empty(c)
    low, high = np.empty((c, q), dtype=np.int32), np.empty((c, q), dtype=np.int32)
    for cluster in range(c):
        low[cluster], high[cluster] = codes[seeds[cluster]], codes[seeds[cluster]]
    for part in range(parts):
        cluster = clusters[part]
        for column in range(q):
            code = codes[entries[part], column]
            low[cluster, column] = min(low[cluster, column], code)
            high[cluster, column] = max(high[cluster, column], code)
    for cluster in range(c):
        costs[cluster] = cost_of_box(tables, low, high, cluster)
    small = 0
    for cluster in range(c):
        small += filled[cluster] < k
    for number in range(m):
        entry = order[number]
        while surplus[entry] > 0:
            best, least = -1, np.inf
            for cluster in range(c):
                if small > 0 and filled[cluster] >= k:
                    continue
                some = min(surplus[entry], k - filled[cluster]) if small > 0 else surplus[entry]
                size = filled[cluster] + some
                limit = (least * some + filled[cluster] * costs[cluster]) / size
                cost = cost_with(tables, low, high, cluster, codes, codes, entry, limit)
                increase = (size * cost - filled[cluster] * costs[cluster]) / some
                if increase < least or best < 0:
                    best, least = cluster, increase
            some = min(surplus[entry], k - filled[best]) if small > 0 else surplus[entry]
            entries[parts], clusters[parts], taken[parts] = entry, best, some
            parts += 1
            surplus[entry] -= some
            filled[best] += some
            if small > 0 and filled[best] >= k:
                small -= 1
            for column in range(q):
                low[best, column] = min(low[best, column], codes[entry, column])
                high[best, column] = max(high[best, column], codes[entry, column])
            costs[best] = cost_of_box(tables, low, high, best)
    return entries[:parts].copy(), clusters[:parts].copy(), taken[:parts].copy()
