"""What a whole donation costs and what comes of it: three server processes and n donors.

Each setting is one round over TLS on the loopback, from the rows of a table and its schema. Printed
are the seconds on the clock, the processor seconds and bytes of a donor and of a server, and what
the release gives away and keeps: NCP, smallest class, certainty, journalist risk (S. Gaballah et
al., "Anonify", PoPETs 2024(3), section 6). The servers' processor seconds include the start of
their processes. Clocks of a machine with other work say little; processor seconds do::

    python benchmarks/donation.py TABLE SCHEMA --donors 20000 --k 250 --mode shuffle --delete 0.5
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from sfumato.donation.simulation import SimulationSettings, simulate_round
from sfumato.release import verify
from sfumato.release.donated import DonatedRelease
from sfumato.table import Schema, read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table")
    parser.add_argument("schema", type=Path)
    parser.add_argument("--donors", type=int, nargs="+", default=[2000])
    parser.add_argument("--k", type=int, nargs="+", default=[250])
    parser.add_argument("--mode", nargs="+", default=["shuffle"], choices=["shuffle", "dpf"])
    parser.add_argument("--delete", type=float, nargs="+", default=[0.5])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--qid-open", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    asked = parser.parse_args()
    schema = Schema.read(asked.schema)
    table = read(asked.table)
    found = []
    for mode in asked.mode:
        for donors in asked.donors:
            for k in asked.k:
                for delete in asked.delete:
                    settings = SimulationSettings(
                        k=k,
                        deletion_share=delete,
                        mode=mode,
                        donors=donors,
                        n_min=min(donors, max(1000, 10 * k)),
                        qid_open=asked.qid_open,
                        processes=asked.processes,
                    )
                    values = run(table, schema, settings)
                    found.append(values)
                    print(json.dumps(values), flush=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


def run(table, schema: Schema, settings: SimulationSettings) -> dict[str, object]:
    """Return the figures of one round."""
    start = time.perf_counter()
    simulated = simulate_round(table, schema, settings, progress=_tell)
    took = time.perf_counter() - start
    release = DonatedRelease.of(
        simulated.signed, simulated.bundles, simulated.envelope, schema=schema
    )
    with tempfile.TemporaryDirectory() as folder:
        verified = verify(release.write(Path(folder) / "release")).passed
    figures, risk = simulated.figures, release.risk.with_suppressed
    return {
        "mode": settings.mode,
        "donors": figures.donors,
        "k": settings.k,
        "deleted": settings.deletion_share,
        "cells": release.configuration.codec.n_cells,
        "seconds": round(took, 1),
        "seconds_donating": round(figures.donating_seconds, 1),
        "seconds_round": round(figures.round_seconds, 1),
        "donor_cpu_ms": round(1000 * figures.donor_cpu_seconds, 3),
        "donor_bytes_to_each_server": figures.upload_bytes,
        "server_cpu_seconds": [
            None if seconds is None else round(seconds, 1) for seconds in figures.server_cpu_seconds
        ],
        "server_written_bytes": list(figures.server_written_bytes),
        "bundle_bytes": list(figures.bundle_bytes),
        "ncp_percent": round(100 * release.loss, 3),
        "classes": release.classes.height,
        "smallest_class": release.smallest_class,
        "donors_suppressed": release.manifest.suppressed,
        "rows": release.data.height,
        "certainty_percent": {
            "average": round(100 * risk.average_certainty, 3),
            "least": round(100 * risk.least_certainty, 3),
            "highest": round(100 * risk.highest_certainty, 3),
        },
        "journalist_risk_percent": {
            "average": round(100 * risk.average_risk, 4),
            "highest": round(100 * risk.highest_risk, 4),
        },
        "verified": verified,
    }


_told: dict[str, int] = {}


def _tell(task: str, done: float, total: float) -> None:
    tenth = int(10 * done / total) if total else 10
    if _told.get(task) != tenth:
        _told[task] = tenth
        print(f"  {task}: {10 * tenth} %", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
