"""From what people write down to a task that three organisations can sign.

The draft is a TOML file: title, questions, k, share, deadlines, researcher and registrar, as in
:class:`~..messages.TaskConfiguration`. What follows from the rest is not written by hand: the
servers come from their cards, the lengths of keys from the questions, and with ``k_of = "file"``
the number of donors that a class needs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.messages.task import donors_for_rows
from sfumato.donation.organisation.card import ServerCard
from sfumato.donation.records.numbers import DecimalNumber
from sfumato.donation.rounds import count_layout
from sfumato.donation.rounds.mailboxes import mailbox_layout
from sfumato.errors import PlanError
from sfumato.settings import Settings

__all__ = ["assemble_task", "read_cards", "read_draft"]

_WORKED_OUT = ("version", "servers", "histogram", "mailbox", "mailbox_tables", "k_of_file")
_OF = ("donors", "file")
_ANY_KEYS = {"key_bytes": 1, "private_bytes": 1}


class _Numbers(Settings):
    """What is worked with before there is a task."""

    k: int = Field(ge=2, le=1_000_000)
    deletion_share: DecimalNumber = Field(ge=0, lt=1)


def assemble_task(draft: Mapping[str, Any], cards: Sequence[ServerCard]) -> TaskConfiguration:
    """Return the task of a draft and three cards.

    Parameters
    ----------
    draft
        All of a :class:`~..messages.TaskConfiguration` but what follows from the rest; and
        ``k_of``: ``"donors"`` (k donors of a class, the default) or ``"file"`` (k rows of the
        released file).
    cards
        Of the three servers.

    Raises
    ------
    PlanError
        If the draft says what it must not, or contradicts itself.
    """
    given = [name for name in _WORKED_OUT if name in draft]
    if given:
        raise PlanError(f"the draft must not say {', '.join(given)}: that follows from the rest")
    if sorted(card.index for card in cards) != [0, 1, 2]:
        raise PlanError("a task needs the cards of three servers, with the indices 0, 1 and 2")
    values = dict(draft)
    k_of = values.pop("k_of", _OF[0])
    if k_of not in _OF:
        raise PlanError(f'k_of must be "donors" or "file" (got {k_of!r})')
    if k_of == "file":
        said: dict[str, Any] = {
            name: values[name] for name in ("k", "deletion_share") if name in values
        }
        numbers = _Numbers.of(said)
        values["k_of_file"] = numbers.k
        values["k"] = donors_for_rows(numbers.k, numbers.deletion_share)
    ordered = sorted(cards, key=lambda card: card.index)
    values["servers"] = [card.party.model_dump(mode="json") for card in ordered]
    mailboxes = {"mailbox": _ANY_KEYS} if values.get("mode") == "dpf" else {}
    first = TaskConfiguration.of({**values, "histogram": None, **mailboxes})
    codec = first.codec
    layouts: dict[str, Any] = {"histogram": count_layout(codec)}
    if mailboxes:
        layouts["mailbox"] = mailbox_layout(codec, first.n_max)
    return TaskConfiguration.of({**values, **layouts})


def read_draft(path: Path) -> dict[str, Any]:
    """Return the values of a draft.

    ``researcher`` and ``registrar`` may name the file that ``sfumato donate keys``, or the
    registrar, has made, relative to the draft's folder, instead of a table.

    Raises
    ------
    PlanError
        If it, or a file that it names, cannot be read.
    """
    values = _toml(path)
    for name in ("researcher", "registrar"):
        if isinstance(values.get(name), str):
            there = path.parent / values[name]
            found = _toml(there)
            if set(found) != {name}:
                raise PlanError(f"{there}: needs one table, [{name}]")
            values[name] = found[name]
    return values


def read_cards(folder: Path) -> list[ServerCard]:
    """Return the cards ``0.toml`` to ``2.toml`` of a folder, whose signatures hold.

    Raises
    ------
    PlanError
        If one cannot be read.
    ProtocolError
        If a signature does not hold.
    """
    return [ServerCard.read(folder / f"{index}.toml") for index in range(3)]


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path} is not TOML in UTF-8: {error}") from None
