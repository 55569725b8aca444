"""What lies in a release folder, and how it gets there.

``data.csv`` or ``data.parquet``, ``schema.toml``, ``recoding.json`` or ``model.json`` are the
release; ``certificate.json`` states their hashes. A study adds what it measured.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from sfumato.anonymization.recoding import Recoding
from sfumato.errors import SfumatoError
from sfumato.release.certificate import CERTIFICATE_FILE, Certificate
from sfumato.release.folders import (
    disk_errors,
    put_in_place,
    recover,
    refuse_foreign,
    sha256,
    write_manifest,
    write_text,
)
from sfumato.release.making import Made, shuffled
from sfumato.synthesis.generator import Generator

__all__ = [
    "MODEL_FILE",
    "RECODING_FILE",
    "SCHEMA_FILE",
    "load_fitted",
    "write_certificate",
    "write_made",
    "write_release",
]

SCHEMA_FILE = "schema.toml"
RECODING_FILE = "recoding.json"
MODEL_FILE = "model.json"


def write_made(folder: Path, made: Made, data_file: str, *, shuffle: int | None = None) -> None:
    """Write the data, their schema and what was fitted into a folder.

    Parameters
    ----------
    folder, made, data_file
        Where, what, and the data file's name.
    shuffle
        Seed of a random order of the rows; None to keep their order.

    Raises
    ------
    EngineError
        If the disk refuses.
    """
    from sfumato.table import write

    write(made.data if shuffle is None else shuffled(made.data, shuffle), folder / data_file)
    with disk_errors(folder):
        made.schema.write(folder / SCHEMA_FILE, self_contained=True)
        fitted = RECODING_FILE if isinstance(made.fitted, Recoding) else MODEL_FILE
        made.fitted.save(folder / fitted)


def load_fitted(folder: Path) -> Recoding | Generator | None:
    """Return what was fitted, or None if this version cannot read it and must fit again."""
    try:
        if (folder / RECODING_FILE).is_file():
            return Recoding.load(folder / RECODING_FILE)
        return Generator.load(folder / MODEL_FILE)
    except SfumatoError:
        return None


def write_certificate(folder: Path, certificate: Certificate) -> Certificate:
    """Write the certificate with the hashes of the files that are there, and return it."""
    files = {
        path.name: sha256(path)
        for path in sorted(folder.iterdir())
        if path.stem == "data" or path.name in (SCHEMA_FILE, RECODING_FILE, MODEL_FILE)
    }
    complete = replace(certificate, files=files)
    write_text(folder / CERTIFICATE_FILE, complete.to_json())
    return complete


def write_release(folder: Path, made: Made, certificate: Certificate, data_file: str) -> Path:
    """Write a release folder of its own, whole or not at all, and return it."""
    folder = folder.absolute()
    refuse_foreign(folder)
    part = folder.with_name(f".{folder.name}.part")
    recover(folder)
    with disk_errors(folder):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    try:
        write_made(part, made, data_file)
        write_certificate(part, certificate)
        write_manifest(part, {"release": certificate.release})
        put_in_place(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder
