"""What the steps of a run keep between them, and what was spent on the way.

Everything lies in the study's folder under ``.kept``, for the eyes of those who run it alone: the
prepared rows of real people, the model, its ledger. Nothing there is ever part of a release. What
was learned under a privacy budget is never learned again in silence: that would be to ask the same
people again, at the price of a second budget.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sfumato.errors import PlanError, SfumatoError
from sfumato.privacy.differential.ledger import Ledger
from sfumato.release.certificate import CERTIFICATE_FILE, Certificate
from sfumato.release.folders import (
    MANIFEST_FILE,
    disk_errors,
    is_complete,
    manifest,
    put_in_place,
    write_manifest,
    write_text,
)
from sfumato.release.private_release import ledger_of
from sfumato.release.release_folder import MODEL_FILE, load_fitted
from sfumato.table.preparation.table_preparation import TablePreparation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "KEPT_FOLDER",
    "LEDGER_FILE",
    "PREPARATION_FILE",
    "PREPARE",
    "Kept",
    "Part",
    "preparation_in",
    "spent_words",
]

KEPT_FOLDER = ".kept"
LEDGER_FILE = "ledger.json"
PREPARATION_FILE = "preparation.json"
PREPARE = "prepare"  # what a certificate calls the step
_SPENT_FILE = "spent.json"
_GIVEN_UP = "given up"
_FOR_US = 0o700
_OURS = 0o600

#: Rows with the fitted preparation, or what was learned from them.
Part: TypeAlias = Literal["prepared", "model"]


class Kept:
    """The kept parts of a study.

    Parameters
    ----------
    out
        The study's folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    def place(self, name: str, part: Part) -> Path:
        """Return the folder of a release's part."""
        return self.out / KEPT_FOLDER / name / part

    def is_fresh(self, name: str, part: Part, facts: Mapping[str, str]) -> bool:
        """Return whether a part is there, whole, and made from just these facts."""
        folder = self.place(name, part)
        found = manifest(folder)
        return found is not None and not self._differs(found, facts) and is_complete(folder)

    def why_not(self, name: str, part: Part, facts: Mapping[str, str]) -> str:
        """Say why a part cannot be used, as the end of a sentence; empty if it can."""
        folder = self.place(name, part)
        found = manifest(folder)
        if found is None:
            return "is missing"
        if not is_complete(folder):
            return "is damaged: a file was changed since"
        changed = self._differs(found, facts)
        words = {"source": "the source", "sfumato": "sfumato's version"}
        if not changed:
            return ""
        # the hash of the plan's part holds the other two, and differs with them
        told = [words[one] for one in changed if one in words] or ["the plan"]
        return f"is stale: {' and '.join(told)} changed since"

    @staticmethod
    def _differs(found: Mapping[str, Any], facts: Mapping[str, str]) -> list[str]:
        return [key for key, value in facts.items() if found.get(key) != value]

    def write(
        self, name: str, part: Part, facts: Mapping[str, str], fill: Callable[[Path], None]
    ) -> Path:
        """Write a part, whole or not at all, readable by its owner alone; return its folder."""
        place = self.place(name, part)
        made = place.with_name(f".{place.name}.part")
        with disk_errors(place):
            for folder in (self.out / KEPT_FOLDER, place.parent):
                folder.mkdir(mode=_FOR_US, parents=True, exist_ok=True)
                folder.chmod(_FOR_US)
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(mode=_FOR_US)
        try:
            fill(made)
            write_manifest(made, dict(facts))
            with disk_errors(made):
                for path in made.iterdir():
                    path.chmod(_OURS)
            put_in_place(made, place)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return place

    # -- what was spent ----------------------------------------------------------------------

    def before(self, name: str) -> tuple[dict[str, Any], ...]:
        """Return the ledgers of earlier models of a release, which were given up on purpose.

        Raises
        ------
        PlanError
            If the file that tells of them cannot be read.
        """
        return tuple(self._before().get(name, ()))

    def _before(self) -> dict[str, list[dict[str, Any]]]:
        path = self.out / KEPT_FOLDER / _SPENT_FILE
        try:
            found = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise PlanError(
                f"{path}, which tells what was spent before, is damaged: put it back from a copy, "
                "or take another --out and add what was spent here by hand"
            )
        return found

    def spending(self, name: str, but: Path | None = None) -> tuple[dict[str, Any], ...]:
        """Return the ledgers that stand, each once: of what is finished, in work, or kept.

        Parameters
        ----------
        name
            Of the release.
        but
            A folder that does not count.
        """
        found: dict[str, dict[str, Any]] = {}
        for folder in (
            self.out / name,
            self.out / ".work" / name / "release",
            self.place(name, "model"),
            self.place(name, "prepared"),
        ):
            ledger = None if folder == but else _ledger_in(folder)
            if ledger is not None and _is_spent(ledger) and not self.is_given_up(folder):
                found[_plain(ledger)] = ledger
        return tuple(found.values())

    @staticmethod
    def is_given_up(folder: Path) -> bool:
        """Return whether what lies in a folder was learned under a budget that was given up.

        Its manifest says so. The ledger would not do: two models may have cost just the same.
        """
        return bool((manifest(folder) or {}).get(_GIVEN_UP))

    def refuse_second(self, name: str, but: Path | None = None) -> None:
        """Refuse to ask the people again while an answer under a budget stands.

        Parameters
        ----------
        name
            Of the release.
        but
            A folder that does not count: what is in it is used.

        Raises
        ------
        PlanError
            It says how to spend another budget on purpose.
        """
        if self.spending(name, but):
            raise PlanError(
                f"the release {name!r} has already spent a budget on these people, and what was "
                "learned does not fit the plan, the source or the version any more. To learn anew "
                f"is to spend another budget: say so with --spend-again {name}, go back to the "
                "plan as it was, or take another --out"
            )

    def spend_again(self, name: str) -> None:
        """Give up what a release learned under its budget, on purpose, and write down its cost."""
        spent = [*self.before(name), *_largest(self.spending(name))]
        path = self.out / KEPT_FOLDER / _SPENT_FILE
        values = self._before()
        with disk_errors(path):
            path.parent.mkdir(mode=_FOR_US, parents=True, exist_ok=True)
        write_text(path, json.dumps({**values, name: spent}, indent=1, sort_keys=True) + "\n")
        with disk_errors(path):
            path.chmod(_OURS)
        finished = manifest(self.out / name)
        if finished is not None:
            told = json.dumps({**finished, _GIVEN_UP: True}, indent=1, sort_keys=True)
            write_text(self.out / name / MANIFEST_FILE, told + "\n")
        with disk_errors(path):
            shutil.rmtree(self.out / KEPT_FOLDER / name, ignore_errors=True)
            shutil.rmtree(self.out / ".work" / name, ignore_errors=True)

    def write_ledger(self, folder: Path, name: str, ledger: Mapping[str, Any] | None) -> None:
        """Write a part's ledger beside it, with those of the models before it, if it has one."""
        if ledger is not None:
            told = {"ledger": ledger, "before": self.before(name)}
            write_text(folder / LEDGER_FILE, json.dumps(told, indent=1, sort_keys=True) + "\n")

    # -- the two parts -----------------------------------------------------------------------

    def preparation(self, name: str) -> tuple[TablePreparation, dict[str, Any] | None]:
        """Return the kept preparation and the ledger of what it cost."""
        folder = self.place(name, "prepared")
        return TablePreparation.load(folder / PREPARATION_FILE), _ledger_in(folder)


def preparation_in(folder: Path) -> TablePreparation | None:
    """Return the preparation of what lies in a folder of a release, or None if it has none."""
    for file in (folder / PREPARATION_FILE, folder.parent / PREPARATION_FILE):
        if file.is_file():
            return TablePreparation.load(file)
    if not (folder / CERTIFICATE_FILE).is_file():
        return None
    for step in Certificate.read(folder / CERTIFICATE_FILE).steps:
        if step.technique == PREPARE:
            return TablePreparation.from_dict(step.settings)
    return None


def _ledger_in(folder: Path) -> dict[str, Any] | None:
    """Return the ledger that a folder holds: in a file of its own, certified, or in the model."""
    for file in (LEDGER_FILE, CERTIFICATE_FILE):
        with suppress(OSError, ValueError):
            ledger = json.loads((folder / file).read_text("utf-8")).get("ledger")
            if isinstance(ledger, dict):
                return ledger
    if (folder / MODEL_FILE).is_file():
        return ledger_of(load_fitted(folder))
    return None


def _is_spent(ledger: Mapping[str, Any]) -> bool:
    """Return whether a ledger is of a promise: not of tests with a seed, nor of none at all."""
    return ledger.get("private_noise") is True and not ledger["budget"].get("no_promise", False)


def _largest(ledgers: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """Leave out a ledger all of whose charges another one holds too: it was paid once."""
    texts = [[json.dumps(one, sort_keys=True) for one in each["charges"]] for each in ledgers]
    return [
        ledger
        for place, ledger in enumerate(ledgers)
        if not any(
            other != place
            and len(texts[other]) > len(texts[place])
            and set(texts[place]) <= set(texts[other])
            for other in range(len(ledgers))
        )
    ]


def spent_words(before: tuple[dict[str, Any], ...]) -> tuple[str, ...]:
    """Say what earlier models of a release have spent, for its certificate; empty if none has."""
    if not before:
        return ()
    amounts = []
    for one in before:
        try:
            spent = Ledger.from_dict(one).spent
        except SfumatoError:
            continue
        amounts.append(f"{spent.measure} {spent.amount:.6g}")
    often = "once" if len(before) == 1 else f"{len(before)} times"
    sentence = (
        f"The same people were asked {often} before for this release, at the price of a budget "
        f"each time ({', '.join(amounts)}): whoever saw those answers too holds the sum."
    )
    return (sentence,)


def _plain(ledger: Mapping[str, Any]) -> str:
    return json.dumps(ledger, sort_keys=True)
