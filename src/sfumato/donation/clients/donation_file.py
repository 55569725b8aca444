"""What a donor keeps: the sealed report until all three servers have it, then their receipts.

Whoever runs `submit` again after a break sends the same report rather than a second one, so that a
person counts once. Answers are not in the file: the report is sealed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sfumato.atomic import write_whole
from sfumato.donation.messages import Receipt, Report, TaskConfiguration
from sfumato.errors import EngineError, PlanError, ProtocolError

__all__ = ["DonationFile"]

_FORMAT = 1


@dataclass(frozen=True)
class DonationFile:
    """One donation to one task.

    Parameters
    ----------
    task_id
        The task, 32 bytes.
    report
        The sealed report while a receipt is missing, else None.
    receipts
        Of the servers, in their order.
    """

    task_id: bytes
    report: bytes | None = field(default=None, repr=False)
    receipts: tuple[bytes, ...] = ()

    @classmethod
    def pending(cls, task: TaskConfiguration, report: Report) -> Self:
        """Return the file of a report that is about to be sent."""
        return cls(task.task_id, report.data)

    def done(self, receipts: tuple[Receipt, ...]) -> Self:
        """Return the file with all receipts, and without the report."""
        return type(self)(self.task_id, None, tuple(each.to_bytes() for each in receipts))

    def unsent(self, task: TaskConfiguration) -> Report:
        """Return the report that is still to be sent.

        Raises
        ------
        PlanError
            If the file is of another task, or the donation is complete.
        """
        if self.task_id != task.task_id:
            raise PlanError("the receipts are of another task: name another file by --receipts")
        if self.report is None:
            raise PlanError(
                "this donation is complete: all three servers have given their receipts, and a "
                "person donates once"
            )
        return Report.from_bytes(self.report, task.layout)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        EngineError
            If it cannot be written.
        """
        values = {
            "format": _FORMAT,
            "task": self.task_id.hex(),
            "report": None if self.report is None else self.report.hex(),
            "receipts": [receipt.hex() for receipt in self.receipts],
        }
        try:
            write_whole(path, json.dumps(values, indent=1) + "\n")
        except OSError as error:
            raise EngineError(f"{path}: {(error.strerror or 'refused').lower()}") from None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read the file, or return None if there is none.

        Raises
        ------
        PlanError
            If it is something else.
        """
        try:
            values: Any = json.loads(path.read_text("utf-8"))
            report = values["report"]
            found = cls(
                bytes.fromhex(values["task"]),
                None if report is None else bytes.fromhex(report),
                tuple(bytes.fromhex(receipt) for receipt in values["receipts"]),
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EngineError(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
        except (ValueError, KeyError, TypeError):
            found = None
        if found is None or values.get("format") != _FORMAT:
            raise PlanError(f"{path} holds something else than receipts: name another file")
        return found

    def checked_receipts(self, task: TaskConfiguration) -> tuple[Receipt, ...]:
        """Return the receipts, whose signatures are checked.

        Raises
        ------
        ProtocolError
            If one does not hold.
        """
        receipts = tuple(Receipt.from_bytes(data, task) for data in self.receipts)
        if len({receipt.report_id for receipt in receipts}) > 1:
            raise ProtocolError("receipts: of different reports")
        if self.report is None and [receipt.server for receipt in receipts] != [0, 1, 2]:
            raise ProtocolError("receipts: one of each of the three servers is needed")
        return receipts
