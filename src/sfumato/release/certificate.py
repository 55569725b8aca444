"""What a release states about itself: how it was made, what it promises, and what it does not.

The certificate holds no time of day and nothing that differs between two runs of one plan but for
the noise of a privacy budget, so it is as reproducible as the data. It is a statement, not a proof:
:func:`sfumato.release.verify` recounts it from the released file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from sfumato.errors import DataError

__all__ = [
    "BY_LEDGER",
    "CERTIFICATE_FILE",
    "Certificate",
    "Promise",
    "Step",
    "is_ledger_promise",
]

CERTIFICATE_FILE = "certificate.json"
BY_LEDGER = "differential-privacy"  # the kind of a promise that a ledger bears out
_FORMAT = 1


@dataclass(frozen=True)
class Promise:
    """One criterion that the release keeps.

    Parameters
    ----------
    kind
        The criterion's name, such as "k-anonymity".
    settings
        Its settings, such as ``{"k": 5}``.
    sentence
        The promise in words.
    """

    kind: str
    settings: dict[str, Any]
    sentence: str


@dataclass(frozen=True)
class Step:
    """One technique on the way from the source to the release; the release's own is the last.

    Parameters
    ----------
    release
        The name of the release that the step made.
    technique
        The technique's registered name, or its class for one that is not registered.
    settings
        All its settings, defaults included.
    """

    release: str
    technique: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Certificate:
    """The statement that goes with a release.

    Parameters
    ----------
    release
        Name of the release.
    synthetic
        Whether the rows were drawn from a model; then no row stands for one person.
    steps
        The techniques, from the source on.
    source_name, source_sha256
        File name (without its folder) and SHA-256 of the source's bytes; of the table's content
        where there is no file. The hash is None for a release under a privacy budget, and so are
        the exact numbers of rows and persons below: they were not paid for.
    source_rows
        Rows in the source.
    control_rows
        Rows that were set aside first and that no technique saw.
    rows_in
        Rows that the technique was fitted on.
    rows_out, rows_suppressed
        Rows in the released file; those among them whose quasi-identifiers are all "*".
    persons_in
        Distinct persons in the fitted rows, or None if the schema names no person column.
    columns, quasi_identifiers
        Names in the released file.
    promises
        What holds for the released file.
    not_promised
        What must not be read into the release, a sentence each.
    limits
        What limits the statements above, a sentence each.
    seeds
        How randomness was used, in one sentence.
    files
        SHA-256 of each released file by name.
    sfumato
        The version that made the release.
    ledger
        The budget and every charge, as :meth:`sfumato.Ledger.to_dict` writes them; None for a
        release that had no privacy budget.
    """

    release: str
    synthetic: bool
    steps: tuple[Step, ...]
    source_name: str
    source_sha256: str | None
    source_rows: int | None
    control_rows: int | None
    rows_in: int | None
    rows_out: int
    rows_suppressed: int
    persons_in: int | None
    columns: tuple[str, ...]
    quasi_identifiers: tuple[str, ...]
    promises: tuple[Promise, ...]
    not_promised: tuple[str, ...]
    limits: tuple[str, ...]
    seeds: str
    sfumato: str
    files: dict[str, str] = field(default_factory=dict)
    ledger: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as plain JSON values."""
        return {"format": _FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the certificate that :meth:`to_dict` described."""
        given = dict(values)
        if given.pop("format", None) != _FORMAT:
            raise DataError(f"a certificate of format {_FORMAT} is needed")
        given["steps"] = tuple(Step(**step) for step in given["steps"])
        given["promises"] = tuple(Promise(**promise) for promise in given["promises"])
        for name in ("columns", "quasi_identifiers", "not_promised", "limits"):
            given[name] = tuple(given[name])
        return cls(**given)

    def to_json(self) -> str:
        """Return the certificate as the text of its file."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a certificate file.

        Raises
        ------
        DataError
            If the file is absent or not a certificate.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text("utf-8")))
        except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{path} is not a certificate that this sfumato can read") from None


def is_ledger_promise(promise: Mapping[str, Any]) -> bool:
    """Whether a promise rests on a ledger, and not on how a sample's classes were made."""
    return promise.get("kind") == BY_LEDGER and "neighbours" in promise
