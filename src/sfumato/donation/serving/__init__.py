"""A server's outside: takes reports over HTTP, checks them, keeps them, signs receipts.

:class:`Ingest` checks and keeps; :class:`DonationApplication` puts it on the network as a bare ASGI
application, which :func:`serve` runs with uvicorn.
"""

from __future__ import annotations

from sfumato.donation.serving.application import DonationApplication
from sfumato.donation.serving.ingest import Ingest
from sfumato.donation.serving.limits import Limits
from sfumato.donation.serving.running import serve

__all__ = ["DonationApplication", "Ingest", "Limits", "serve"]
