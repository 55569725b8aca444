"""A release of donated records: the researcher's bundles become a normal release folder.

Beside what every release folder holds there is ``donation.json``, the task and the manifest with
the signatures of all three servers, and ``donor-classes.csv``: the classes of all accepted donors
of whom the release may speak, as the manifest counts them. Deleting a share of every class makes
classes of fewer than k rows; that each is shared by k *donors* is k-map in that file, and is
recounted from it. Where the task promises k rows of the file itself (``k_of_file``), classes had as
many more donors as the deletion takes, and the file is k-anonymous for that number.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from sfumato._version import __version__
from sfumato.donation.records import CategoryQuestion
from sfumato.donation.rounds import SignedManifest, combine_bundles
from sfumato.donation.rounds.bundle import read_manifest
from sfumato.errors import GuaranteeNotMet
from sfumato.privacy import Criterion, KAnonymity, KMap, LDiversity
from sfumato.release.certificate import CERTIFICATE_FILE, Certificate, Promise, Step
from sfumato.release.folders import (
    disk_errors,
    put_in_place,
    recover,
    refuse_foreign,
    sha256,
    write_manifest,
    write_text,
)
from sfumato.release.release_folder import SCHEMA_FILE
from sfumato.table import SUPPRESSED, Column, Role, Schema, write

if TYPE_CHECKING:
    from sfumato.donation.messages import SignedTask, TaskConfiguration
    from sfumato.donation.protecting import EnvelopeKey
    from sfumato.donation.rounds import Manifest
    from sfumato.evaluation.certainty import SamplingRisk

__all__ = ["DonatedRelease"]

DATA_FILE = "data.csv"
DONATION_FILE = "donation.json"
CLASSES_FILE = "donor-classes.csv"
REPORT_FILE = "report.html"
_NAME = "donated"
_FORMAT = 1
_LEAST = 2


@dataclass(frozen=True, eq=False)
class DonatedRelease:
    """A released table with all that proves how it was made.

    Parameters
    ----------
    task
        The task, signed by all three servers.
    signed
        The manifest, signed by all three servers.
    data
        The released rows.
    schema
        Of the released rows.
    impossible
        Sampled rows that are left out, as an answer in them is none of the possible ones.
    thinned
        Possible rows that are left out, as impossible ones had left their class with fewer rows
        than the task's ``k_of_file``.
    notes
        What else is to be known, a sentence each; it stands among the certificate's limits.
    """

    task: SignedTask
    signed: SignedManifest
    data: pl.DataFrame
    schema: Schema
    impossible: int
    thinned: int = 0
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        task: SignedTask,
        bundles: Sequence[bytes],
        private_key: EnvelopeKey,
        *,
        schema: Schema | None = None,
        notes: Sequence[str] = (),
    ) -> Self:
        """Put two or three bundles together.

        Parameters
        ----------
        task
            The signed task.
        bundles
            Of different servers.
        private_key
            The researcher's.
        schema
            Says the roles of columns and the target, where that is known beyond the task.
        notes
            More sentences for the certificate.

        Raises
        ------
        ProtocolError
            If a bundle does not hold or they do not fit each other.
        GuaranteeNotMet
            If no row is left.
        """
        configuration = task.configuration
        table, _ = combine_bundles(configuration, bundles, private_key)
        _, signed, _ = read_manifest(configuration, bundles[0])
        answered = [q.column for q in configuration.sensitive if not q.missing]
        # who breaks the coding loses his own row, and no other
        possible = (
            table.select(pl.all_horizontal(pl.col(answered).is_not_null())).to_series()
            if answered
            else pl.repeat(value=True, n=table.height, dtype=pl.Boolean, eager=True)
        )
        whole = table.filter(possible)
        names = [q.column for q in configuration.quasi_identifiers]
        # a donor who spoils his own row must not make the classmates' promise untrue
        data = whole.filter(pl.len().over(names) >= (configuration.k_of_file or 1))
        if data.is_empty():
            raise GuaranteeNotMet(
                "nothing is left to release: of every class too many sampled rows are impossible"
            )
        released = _released_schema(configuration, schema)
        impossible, thinned = table.height - whole.height, whole.height - data.height
        return cls(task, signed, data, released, impossible, thinned, tuple(notes))

    # -- what is known of it -----------------------------------------------------------------

    @property
    def configuration(self) -> TaskConfiguration:
        """The task without its signatures."""
        return self.task.configuration

    @property
    def manifest(self) -> Manifest:
        """The manifest without its signatures."""
        return self.signed.manifest

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        """The columns that make the classes."""
        return self.schema.quasi_identifiers

    @cached_property
    def donors(self) -> pl.DataFrame:
        """The labels of every accepted donor of a released class, a row for each, by class."""
        labels = self.manifest.tree(self.configuration).labels()
        sizes = [size or 0 for size in self.manifest.class_sizes]
        rows = np.repeat(np.arange(len(sizes)), sizes)
        return pl.DataFrame(
            [
                pl.Series(name, [label[place] for label in labels], dtype=pl.String).gather(rows)
                for place, name in enumerate(self.quasi_identifiers)
            ]
        )

    @cached_property
    def classes(self) -> pl.DataFrame:
        """Each class with its donors and its released rows, in columns "donors" and "rows"."""
        names = list(self.quasi_identifiers)
        donors = self.donors.group_by(names, maintain_order=True).agg(pl.len().alias("donors"))
        rows = self.data.group_by(names).agg(pl.len().alias("rows"))
        joined = donors.join(rows, on=names, how="left", maintain_order="left")
        return joined.with_columns(pl.col("rows").fill_null(0))

    @property
    def loss(self) -> float:
        """The normalized certainty penalty over all accepted donors; a suppressed one loses all."""
        manifest = self.manifest
        tree = manifest.tree(self.configuration)
        lost = float(manifest.suppressed)
        for region, size in zip(tree.regions, manifest.class_sizes, strict=True):
            shares = [
                held / ladder.n_leaves if (held := int(ladder.sizes[level][group])) > 1 else 0.0
                for ladder, level, group in zip(
                    tree.domain.ladders, region.levels, region.groups, strict=True
                )
            ]
            lost += (size or 0) * sum(shares) / len(shares)
        return lost / manifest.records

    @cached_property
    def risk(self) -> SamplingRisk:
        """Risk and certainty of the accepted donors of the released classes."""
        from sfumato.evaluation.certainty import sampling_risk

        names = list(self.quasi_identifiers)
        return sampling_risk(self.donors, self.data.select(names), names)

    @property
    def smallest_class(self) -> int:
        """Donors of the smallest released class."""
        return min(size for size in self.manifest.class_sizes if size is not None)

    @cached_property
    def smallest_rows(self) -> int:
        """How many rows look alike at least in the released file."""
        return int(self.data.select(pl.len().over(list(self.quasi_identifiers)).min()).item())

    @cached_property
    def promises(self) -> tuple[Criterion, ...]:
        """What can be recounted from the released files."""
        k = self.configuration.k
        found: list[Criterion] = [KMap(k=k, population=CLASSES_FILE)]
        left = k - math.ceil(k * Fraction(self.manifest.deletion_share))
        kept = self.configuration.k_of_file or min(left, self.smallest_rows)
        if kept >= _LEAST:
            found.append(KAnonymity(k=kept))
        rule = self.configuration.l_diversity
        if rule is not None:
            names = list(self.quasi_identifiers)
            told = self.data.group_by(names).agg(pl.col(rule.column).n_unique())[rule.column]
            if int(told.min() or 0) >= rule.l:  # type: ignore[arg-type]
                found.append(LDiversity(column=rule.column, l=rule.l))
        return tuple(found)

    def recode(self, donated: pl.DataFrame) -> pl.DataFrame:
        """Return donated rows as the k-anonymous table before sampling; of a simulation.

        Parameters
        ----------
        donated
            Exact rows, with a column for each question.

        Returns
        -------
        pl.DataFrame
            Every row with the labels of its class; ``*`` where its class is not released.
        """
        tree = self.manifest.tree(self.configuration)
        owners = tree.owners().reshape(-1)[self.configuration.codec.cells(donated)]
        released = np.array([size is not None for size in self.manifest.class_sizes] + [False])
        places = np.where(released[owners], owners, len(tree))
        labels = [*tree.labels(), (SUPPRESSED,) * len(self.quasi_identifiers)]
        columns = [
            pl.Series(name, [label[place] for label in labels], dtype=pl.String).gather(places)
            for place, name in enumerate(self.quasi_identifiers)
        ]
        return donated.with_columns(columns)

    # -- written down ------------------------------------------------------------------------

    @cached_property
    def certificate(self) -> Certificate:
        """The statement that goes with the release, before its files have hashes."""
        task, manifest = self.configuration, self.manifest
        servers = ", ".join(server.name for server in task.servers)
        settings: dict[str, Any] = {
            "task": task.task_id.hex(),
            "manifest": manifest.digest.hex(),
            "round": manifest.round_number,
            "attempt": manifest.attempt,
            "mode": manifest.mode,
            "donors_alike": task.k,
            "rows_alike": task.k_of_file,
            "deletion_share": manifest.deletion_share,
            "exact_quasi_identifiers_opened": manifest.qid_open,
            "servers": [server.name for server in task.servers],
        }
        return Certificate(
            release=_NAME,
            synthetic=False,
            steps=(Step(_NAME, "donation", settings),),
            source_name=f"{task.title}: donations to {servers}",
            source_sha256=manifest.accepted_hash.hex(),
            source_rows=manifest.records + manifest.dropped,
            control_rows=0,
            rows_in=manifest.records,
            rows_out=self.data.height,
            rows_suppressed=self._suppressed,
            persons_in=None,
            columns=tuple(self.data.columns),
            quasi_identifiers=self.quasi_identifiers,
            promises=tuple(
                Promise(values.pop("kind"), values, criterion.describe())
                for criterion in self.promises
                for values in (criterion.to_dict(),)
            ),
            not_promised=_NOT_PROMISED,
            limits=tuple(self._limits()),
            seeds=_SEEDS,
            sfumato=__version__,
        )

    def write(self, folder: Path, beside: Mapping[str, str] | None = None) -> Path:
        """Write the release folder, whole or not at all, and return it.

        Parameters
        ----------
        folder
            Where; must be empty, or hold an older release.
        beside
            Further files by name, as texts; their hashes are certified too.

        Raises
        ------
        PlanError
            If the folder holds something else.
        EngineError
            If the disk refuses.
        """
        from sfumato.release.report.donated_report import render_donated

        folder = folder.absolute()
        refuse_foreign(folder)
        recover(folder)
        part = folder.with_name(f".{folder.name}.part")
        with disk_errors(folder):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        try:
            write(self.data, part / DATA_FILE)
            write(self.donors, part / CLASSES_FILE)
            with disk_errors(folder):
                self.schema.write(part / SCHEMA_FILE, self_contained=True)
            texts = {DONATION_FILE: self._donation_json(), **(beside or {})}
            for name, text in texts.items():
                write_text(part / name, text)
            files = {path.name: sha256(path) for path in sorted(part.iterdir())}
            complete = replace(self.certificate, files=files)
            write_text(part / CERTIFICATE_FILE, complete.to_json())
            write_text(part / REPORT_FILE, render_donated(self))
            write_manifest(part, {"release": _NAME})
            put_in_place(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return folder

    def _donation_json(self) -> str:
        values = {
            "format": _FORMAT,
            "task": json.loads(self.task.to_bytes()),
            "manifest": self.signed.to_dict(),
        }
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    @property
    def _suppressed(self) -> int:
        starred = [pl.col(name) == SUPPRESSED for name in self.quasi_identifiers]
        return int(self.data.select(pl.all_horizontal(starred).sum()).item())

    def _limits(self) -> list[str]:
        task, manifest = self.configuration, self.manifest
        truth = (
            f"{task.registrar.name} gave one token to each person"
            if task.registrar
            else "nothing but a report's number keeps a person from donating twice"
        )
        words = [_of_records(manifest), _SOURCE, _ORDER, f"{_TRUTH}; {truth}."]
        if manifest.dropped:
            words.append(
                f"{manifest.dropped:,} reports were refused by all three servers, as their parts "
                "did not fit each other."
            )
        if self.impossible:
            words.append(
                f"{self.impossible:,} sampled rows are left out, as an answer in them is none of "
                "the possible ones: their donors' programs did not keep to the protocol."
            )
        if self.thinned:
            words.append(
                f"{self.thinned:,} more rows are left out, as those that are impossible had left "
                f"their classes with fewer than {task.k_of_file:,} rows."
            )
        if manifest.qid_open:
            words.append(
                "The servers saw the exact quasi-identifiers of all donations, without knowing "
                "whose they are: who is unique in them was seen to take part."
            )
        if task.l_diversity and not any(isinstance(one, LDiversity) for one in self.promises):
            words.append(
                f"Every class held {task.l_diversity.l} different answers to "
                f"{task.l_diversity.column!r} before the sampling; some has fewer now."
            )
        return [*words, *self.notes]


def _of_records(manifest: Manifest) -> str:
    return (
        f"{manifest.records:,} donations were accepted; {manifest.suppressed:,} of them are in no "
        f"released class, and of every class the share {manifest.deletion_share} was deleted by "
        "chance before anything was opened."
    )


_SOURCE = (
    "The source's hash is that of the numbers of the accepted reports; the reports themselves are "
    "erased."
)
_ORDER = "The rows stand in an order that no server knows."
_TRUTH = "A donation is what a donor says: nobody can tell whether it is true"
_SEEDS = (
    "There is no seed: order and sample follow from the randomness of all three servers, of which "
    "none knows all, so the release cannot be made again."
)
_NOT_PROMISED = (
    (
        "Two of the three servers that act together can read every donation: only while at most "
        "one is dishonest does the rest hold."
    ),
    "That a person donated is not hidden from who watches the network, nor from the servers.",
    (
        "Which group a person is in can tell what the group has in common: where all members share "
        "a diagnosis, k-anonymity does not hide it."
    ),
    (
        "Someone who knows more of a person than the quasi-identifiers named here is not covered; "
        "nor is a second release of the same people."
    ),
    "There is no differential privacy: no epsilon bounds what can be learned.",
)


def _released_schema(task: TaskConfiguration, schema: Schema | None) -> Schema:
    columns = {
        q.column: Column(Role.QUASI_IDENTIFIER, type="category", note=q.label)
        for q in task.quasi_identifiers
    }
    known = {} if schema is None else schema.columns
    for question in task.sensitive:
        said = known.get(question.column)
        columns[question.column] = Column(
            Role.SENSITIVE if said is None else said.role,
            type="category" if isinstance(question, CategoryQuestion) else None,
            note=question.label,
        )
    target = None if schema is None or schema.target not in columns else schema.target
    return Schema.of(columns, target=target)
