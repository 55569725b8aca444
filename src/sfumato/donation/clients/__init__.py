"""The people's side of a donation task: donors who send, and the researcher who receives."""

from __future__ import annotations

from sfumato.donation.clients.answers import answers_row, problems_of, read_answers
from sfumato.donation.clients.connection import (
    Connection,
    HttpConnection,
    ServerLost,
    ServerRefused,
)
from sfumato.donation.clients.donation_file import DonationFile
from sfumato.donation.clients.donor import Donor, make_donations
from sfumato.donation.clients.researcher import Collected, Researcher, ResearcherKeys
from sfumato.donation.clients.task_servers import ServerStatus, TaskServers

__all__ = [
    "Collected",
    "Connection",
    "DonationFile",
    "Donor",
    "HttpConnection",
    "Researcher",
    "ResearcherKeys",
    "ServerLost",
    "ServerRefused",
    "ServerStatus",
    "TaskServers",
    "answers_row",
    "make_donations",
    "problems_of",
    "read_answers",
]
