"""What keeps messages private and honest: HPKE, Ed25519, and tokens that are signed blindly.

All primitives are those of ``cryptography``, but for the blinding of RSA signatures, which it does
not have. The room is imported where it is used, as it needs the extra ``sfumato[donate]``.
"""

from __future__ import annotations

from sfumato.errors import MissingExtra

try:
    import cryptography.hazmat.primitives.hpke  # noqa: F401 - its absence is told once, here
except ImportError:
    raise MissingExtra("donate", "donation") from None

from sfumato.donation.protecting.envelopes import EnvelopeKey, Kem, enc_bytes, seal
from sfumato.donation.protecting.signatures import SigningKey, check_signature
from sfumato.donation.protecting.tokens import Registrar, TokenDesk, TokenRequest, check_token

__all__ = [
    "EnvelopeKey",
    "Kem",
    "Registrar",
    "SigningKey",
    "TokenDesk",
    "TokenRequest",
    "check_signature",
    "check_token",
    "enc_bytes",
    "seal",
]
