"""Links between the three servers: mutual TLS, each knowing the others by their certificates.

A :class:`Switchboard` listens for the two others and, for every attempt of a round, meets them anew
(:meth:`Switchboard.meet`); what it returns are the links of
:class:`~sfumato.donation.sharing.FramedChannels`.
"""

from __future__ import annotations

from sfumato.donation.links.certificates import make_certificate
from sfumato.donation.links.switchboard import Meeting, PeerAddress, Switchboard
from sfumato.donation.links.tls_link import LinkLost, TlsLink

__all__ = [
    "LinkLost",
    "Meeting",
    "PeerAddress",
    "Switchboard",
    "TlsLink",
    "make_certificate",
]
