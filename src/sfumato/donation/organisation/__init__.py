"""One organisation's server on the disk: its keys, its card for the others, and the task.

:meth:`Organisation.create` makes the folder and its keys; the card goes to the two others; when the
task is signed by all three, :meth:`Organisation.join` puts it and the cards in place.
"""

from __future__ import annotations

from sfumato.donation.organisation.card import ServerCard
from sfumato.donation.organisation.organisation import Organisation, ServerSettings

__all__ = ["Organisation", "ServerCard", "ServerSettings"]
