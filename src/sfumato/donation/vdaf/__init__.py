"""Prefix counts after the VDAF draft (draft-irtf-cfrg-vdaf, its version 18 of the wire format).

:class:`~sfumato.donation.vdaf.poplar1.Poplar1` counts how many donors' strings begin with each of
some prefixes; :class:`~sfumato.donation.vdaf.idpf.Idpf` is the point function below it. Both agree
with the draft's test vectors bit by bit. Read the warning in :mod:`sfumato.donation.vdaf.idpf`.
"""
