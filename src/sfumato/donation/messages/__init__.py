"""The messages of the donation protocol, byte by byte, and what each of them promises.

A :class:`TaskConfiguration` says all that donors and servers must agree on; its hash is in every
other message. A :class:`Report` carries one donated record as shares for three servers; a
:class:`Receipt` proves that a server took it; a :class:`Freeze` says which reports a round holds.
All numbers are big endian, all lengths follow from the task, and what is not exactly as said is a
:class:`Refusal` of a named kind.
"""

from __future__ import annotations

from sfumato.donation.messages.freeze import Freeze, common_ids
from sfumato.donation.messages.layout import ReportLayout
from sfumato.donation.messages.merkle import merkle_path, merkle_root, root_of_path
from sfumato.donation.messages.parties import (
    EnvelopeConfiguration,
    RegistrarParty,
    ResearcherParty,
    ServerParty,
)
from sfumato.donation.messages.receipt import Receipt
from sfumato.donation.messages.refusals import Refusal, RefusalKind
from sfumato.donation.messages.report import Report, make_report, open_report
from sfumato.donation.messages.shares import ServerShares, share_components
from sfumato.donation.messages.signed_task import SignedTask
from sfumato.donation.messages.task import FunctionKeyLayout, LDiversityRule, TaskConfiguration

__all__ = [
    "EnvelopeConfiguration",
    "Freeze",
    "FunctionKeyLayout",
    "LDiversityRule",
    "Receipt",
    "Refusal",
    "RefusalKind",
    "RegistrarParty",
    "Report",
    "ReportLayout",
    "ResearcherParty",
    "ServerParty",
    "ServerShares",
    "SignedTask",
    "TaskConfiguration",
    "common_ids",
    "make_report",
    "merkle_path",
    "merkle_root",
    "open_report",
    "root_of_path",
    "share_components",
]
