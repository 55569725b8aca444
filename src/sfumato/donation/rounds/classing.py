"""COUNTED to LABELLED: a recoding from counts, the class of each record, and the sample.

Two ways with one result. By default the counts stay in shares and of a record only its class is
opened. In the way ``qid_open``, which is the simpler protocol and there for comparison, the exact
quasi-identifiers of the shuffled records are opened to all three servers and recoded in the clear;
the sensitive answers stay in shares either way.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.recoding import (
    CellDomain,
    ClearNumbers,
    RecodingTree,
    SharedNumbers,
    recode,
)
from sfumato.donation.records import RecordCodec
from sfumato.donation.rounds.labelling import diverse_classes
from sfumato.donation.rounds.sampling import KeptRows, kept_rows
from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    Party,
    Randomness,
    open_to_all,
    reshare,
)
from sfumato.errors import ProtocolError

__all__ = [
    "domain_of",
    "open_cells",
    "recode_cells",
    "recode_counts",
    "sample",
    "share_counts",
]

Labels = npt.NDArray[np.int32]


def domain_of(codec: RecordCodec) -> CellDomain:
    """Return the cells that are counted."""
    return CellDomain(tuple(question.ladder for question in codec.quasi_identifiers))


def share_counts(
    party: Party, table: npt.NDArray[np.uint32] | None, domain: CellDomain
) -> ArithmeticShares:
    """Share the counts of servers 0 and 1 among all three."""
    part = None
    if table is not None:
        part = np.ascontiguousarray(table[: domain.n_cells]).reshape(domain.shape)
    return reshare(party, ArithmeticShares, part, domain.shape, np.uint32)


def recode_counts(
    party: Party,
    counts: ArithmeticShares,
    domain: CellDomain,
    records: int,
    k: int,
    randomness: Randomness,
) -> RecodingTree:
    """Return the recoding of counts that :func:`~.proving.prove_counts` has proved.

    What an active server can learn here
    ------------------------------------
    Every gate and product is proved before the next value is opened (unless ``audited`` is off),
    and the counts were: so what is opened is what the recoder opens of the true counts, all of
    which but the bounds it names can be read off the recoding.
    """
    return recode(SharedNumbers(party, randomness), counts, domain, records=records, k=k)


def open_cells(party: Party, records: BooleanShares, codec: RecordCodec) -> npt.NDArray[np.int64]:
    """Open the exact quasi-identifiers: the cell of each record, -1 for digits of no answer."""
    octets = open_to_all(party, records[:, : codec.sensitive_block.start])
    bits = np.unpackbits(octets, axis=1)
    cells = np.zeros(len(octets), dtype=np.int64)
    valid = np.ones(len(octets), dtype=bool)
    for question, layout, offset in zip(
        codec.quasi_identifiers, codec.digits, codec.digit_offsets, strict=True
    ):
        words = np.zeros(len(octets), dtype=np.uint64)
        for position in range(offset, offset + layout.bits):
            words = (words << np.uint64(1)) | bits[:, position]
        leaves = np.minimum(np.searchsorted(layout.words, words), len(layout.words) - 1)
        valid &= layout.words[leaves] == words
        cells = cells * question.ladder.n_leaves + leaves
    return np.where(valid, cells, -1)


def recode_cells(
    cells: npt.NDArray[np.int64], domain: CellDomain, k: int
) -> tuple[RecodingTree, Labels]:
    """Return the recoding of opened cells, and the class of each record."""
    valid = cells >= 0
    counts = np.bincount(cells[valid], minlength=domain.n_cells).astype(np.uint32)
    shaped = counts.reshape(domain.shape)
    tree = recode(ClearNumbers(), shaped, domain, records=int(valid.sum()), k=k)
    owners = tree.owners().reshape(-1)
    return tree, np.where(valid, owners[cells], -1).astype(np.int32)


def sample(
    party: Party,
    task: TaskConfiguration,
    records: BooleanShares,
    codec: RecordCodec,
    labels: Labels,
    classes: int,
    randomness: Randomness,
) -> KeptRows:
    """Recount the classes, drop what is small or alike, and fix the sample.

    Raises
    ------
    ProtocolError
        If nothing can be released.
    """
    sizes = np.bincount(labels[labels >= 0], minlength=classes)
    large = sizes >= task.k
    rule = task.l_diversity
    if rule is not None and large.any():
        kept = np.where((labels >= 0) & large[labels], labels, -1).astype(np.int32)
        large &= diverse_classes(
            party, records, codec, kept, classes, rule.column, rule.l, randomness
        )
    rows = kept_rows(labels, classes, task.k, Fraction(task.deletion_share), large)
    if not len(rows.rows):
        raise ProtocolError(
            f"sample: no class of at least k = {task.k} records, so nothing can be released: ask "
            "for coarser answers, or for more donors"
        )
    return rows
