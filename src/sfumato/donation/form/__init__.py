"""The form page: a task's questions on a page of the donor's own machine, with a preview."""

from __future__ import annotations

from sfumato.donation.form.form_server import FormServer
from sfumato.donation.form.pages import FormPages, PreviewLine, preview

__all__ = ["FormPages", "FormServer", "PreviewLine", "preview"]
