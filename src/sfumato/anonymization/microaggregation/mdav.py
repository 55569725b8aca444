"""MDAV: groups of k and a few more people who are near to each other in numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.clustering.measure import compiled

__all__ = ["kd_blocks", "mdav", "nearest_centres"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def kd_blocks(points: Floats, people: Integers, k: int, most: int) -> tuple[Integers, ...]:
    """Cut points into blocks of at most ``most``, at the median of the widest coordinate.

    Parameters
    ----------
    points, people
        Shape (m, d), and how many people are at each, shape (m,).
    k
        Least number of people of a block; there must be as many in all.
    most
        Points that a block may have; where no cut leaves k people on both sides it has more.
    """
    done: list[Integers] = []
    waiting = [np.arange(len(points))]
    while waiting:
        block = waiting.pop()
        upper = None if len(block) <= most else _upper(points[block], people[block], k)
        if upper is None:
            done.append(block)
        else:
            waiting += [block[upper], block[~upper]]
    return tuple(done)


def _upper(points: Floats, people: Integers, k: int) -> npt.NDArray[np.bool_] | None:
    for axis in np.argsort(-np.ptp(points, axis=0), kind="stable"):
        of_point = np.unique(points[:, axis], return_inverse=True)[1]
        below = np.cumsum(np.bincount(of_point, people))[:-1]
        total = people.sum()
        distance = np.where((below >= k) & (total - below >= k), np.abs(2 * below - total), np.inf)
        if len(distance) and np.isfinite(distance.min()):
            upper: npt.NDArray[np.bool_] = of_point > distance.argmin()
            return upper
    return None


@compiled
def mdav(points: Floats, people: Integers, k: int) -> Integers:
    """Return the group of each point, shape (m,).

    Of those left the farthest from their mean, r, and the farthest from r, s, each make a group
    with their nearest; until fewer than 3k people are left. Then, if there are 2k, the farthest
    from the mean and its nearest are one group and the rest another, else the rest is one group.
    Of points that are equally far the first counts as nearer and as farther.

    Parameters
    ----------
    points
        Shape (m, d): different points, standardised.
    people
        How many people are at each, shape (m,), at least 1, and at least k in all. They stay
        together, so a group may have more than 2k - 1; should fewer than k be left, each goes to
        the group with the nearest mean.
    k
        Least number of people of a group.

    Notes
    -----
    J. Domingo-Ferrer, J. M. Mateo-Sanz, "Practical data-oriented microaggregation for statistical
    disclosure control", IEEE TKDE 14(1), 2002; as algorithm MDAV-generic in J. Domingo-Ferrer,
    V. Torra, "Ordinal, continuous and heterogeneous k-anonymity through microaggregation", Data
    Mining and Knowledge Discovery 11(2), 2005.
    """
    m, d = points.shape
    group = np.full(m, -1, dtype=np.int64)
    live = points.copy()
    number = np.arange(m)  # which point each of the live ones is
    sums = np.zeros(d)
    for point in range(m):
        sums += people[point] * points[point]
    total, n, groups = people.sum(), m, 0
    distance, keys = np.empty(m), np.empty(m)
    near = np.empty(m, dtype=np.int64)
    while total >= 2 * k:
        two = total >= 3 * k
        r = number[_farthest(live, number, n, sums / total, distance)]
        s = number[_farthest(live, number, n, points[r], distance)]
        for turn in range(2):
            if turn == 1:
                # with points of several people the first group may have left too few, or hold s
                if not two or total < 2 * k or group[s] >= 0:
                    continue
                _farthest(live, number, n, points[s], distance)
            size = _nearest_k(distance, number, people, n, k, keys, near)
            group[near[:size]] = groups
            groups += 1
            place = 0
            while place < n:
                point = number[place]
                if group[point] < 0:
                    place += 1
                    continue
                total -= people[point]
                n -= 1
                number[place] = number[n]
                for axis in range(d):
                    sums[axis] -= people[point] * points[point, axis]
                    live[place, axis] = live[n, axis]
    if total >= k or groups == 0:
        group[number[:n]] = groups
        return group
    rest = np.sort(number[:n])
    if len(rest) > 0:
        centres = _centres(points, people, group, groups)
        for point in rest:
            group[point] = _nearest_centre(points, point, centres)
    return group


@compiled
def _farthest(live: Floats, number: Integers, n: int, centre: Floats, distance: Floats) -> int:
    """Fill in the squared distance of each live point and return the place of the farthest."""
    d = live.shape[1]
    farthest, most = 0, -1.0
    for place in range(n):
        total = 0.0
        for axis in range(d):
            step = live[place, axis] - centre[axis]
            total += step * step
        distance[place] = total
        if total > most or (total == most and number[place] < number[farthest]):
            farthest, most = place, total
    return farthest


@compiled
def _nearest_k(
    distance: Floats,
    number: Integers,
    people: Integers,
    n: int,
    k: int,
    key: Floats,
    item: Integers,
) -> int:
    """Put the nearest points with k people together into ``item``; return how many they are.

    They are held in a heap with the farthest first, which is dropped as soon as the others have k.
    """
    size, held = 0, 0
    for place in range(n):
        point = number[place]
        far = distance[place]
        if held >= k and (far > key[0] or (far == key[0] and point > item[0])):
            continue
        child = size
        size += 1
        held += people[point]
        while child > 0:
            parent = (child - 1) // 2
            if key[parent] > far or (key[parent] == far and item[parent] > point):
                break
            key[child], item[child] = key[parent], item[parent]
            child = parent
        key[child], item[child] = far, point
        while held - people[item[0]] >= k:
            held -= people[item[0]]
            size -= 1
            last_key, last_item = key[size], item[size]
            parent = 0
            while True:
                child = 2 * parent + 1
                if child >= size:
                    break
                right = child + 1
                if right < size and (
                    key[right] > key[child]
                    or (key[right] == key[child] and item[right] > item[child])
                ):
                    child = right
                if key[child] < last_key or (key[child] == last_key and item[child] < last_item):
                    break
                key[parent], item[parent] = key[child], item[child]
                parent = child
            key[parent], item[parent] = last_key, last_item
    return size


@compiled
def _centres(points: Floats, people: Integers, group: Integers, groups: int) -> Floats:
    """Return the mean of the people of each group, shape (groups, d)."""
    centres = np.zeros((groups, points.shape[1]))
    weights = np.zeros(groups)
    for point in range(len(points)):
        if group[point] >= 0:
            weights[group[point]] += people[point]
            centres[group[point]] += people[point] * points[point]
    for one in range(groups):
        centres[one] /= weights[one]
    return centres


@compiled
def _nearest_centre(points: Floats, point: int, centres: Floats) -> int:
    best, least = 0, np.inf
    for one in range(len(centres)):
        total = 0.0
        for axis in range(points.shape[1]):
            step = points[point, axis] - centres[one, axis]
            total += step * step
        if total < least:
            best, least = one, total
    return best


@compiled
def nearest_centres(points: Floats, centres: Floats) -> Integers:
    """Return for each point the centre that is nearest, the first of several, shape (m,)."""
    nearest = np.empty(len(points), dtype=np.int64)
    for point in range(len(points)):
        nearest[point] = _nearest_centre(points, point, centres)
    return nearest
