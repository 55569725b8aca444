"""One organisation's server on the disk: its keys, its card for the others, and the task.

:meth:`Organisation.create` makes the folder and its keys; the card goes to the two others; when the
task is signed by all three, :meth:`Organisation.join` puts it and the cards in place. A folder has
one task, a task one round, and its :class:`TaskKeys` are destroyed when that is over.
"""

from __future__ import annotations

from sfumato.donation.organisation.card import ServerCard
from sfumato.donation.organisation.organisation import Organisation, ServerSettings
from sfumato.donation.organisation.task_keys import ForgettingStore, TaskKeys

__all__ = ["ForgettingStore", "Organisation", "ServerCard", "ServerSettings", "TaskKeys"]
