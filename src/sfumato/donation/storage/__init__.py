"""Where a server keeps the reports that it has acknowledged: durably, each number once.

A :class:`ReportStore` is opened by :func:`open_store`: a folder (SQLite as index, an append-only
log of the reports) or the URL of a PostgreSQL database.
"""

from __future__ import annotations

from sfumato.donation.storage.opening import open_store
from sfumato.donation.storage.report_store import Kept, Outcome, ReportStore, StoredReport

__all__ = ["Kept", "Outcome", "ReportStore", "StoredReport", "open_store"]
