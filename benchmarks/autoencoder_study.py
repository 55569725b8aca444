"""The autoencoder study redrawn: published figures beside honest ones, on the files it shipped.

The study (system 002; see ``autoencoder_study_parts/published.toml`` for its source) made
"synthetic" rows of three tables by an autoencoder (AE) and a conditional variational one (VAE).
For each data set and release this script gives

- learning: nine of scikit-learn's classifiers trained on real (TRTR) and on released rows (TSTR),
  tested on the whole control set, with Wilson intervals. Histogram gradient boosting stands in for
  XGBoost and LightGBM, which are no dependencies of ours;
- likeness: means, standard deviations, spread kept, Kolmogorov-Smirnov distances, correlations;
- risk: all registered attacks by ``sfumato.evaluate``, and whether row i lies at person i;

beside what was published. The result is ``report.html``, which opens offline, and ``study.json``
with all figures. Of cardio only the control was shipped, so it needs a release (and some
five CPU minutes; the others take one)::

    python benchmarks/autoencoder_study.py --data FOLDER --out FOLDER
    python benchmarks/autoencoder_study.py --data FOLDER --out FOLDER --released obesity=ours.csv
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from autoencoder_study_parts.content import checked, shown
from autoencoder_study_parts.page import write_page
from autoencoder_study_parts.results import Study, measured, plain, published
from autoencoder_study_parts.tables import STUDIED, DataSet, read_data_set, with_release
from threadpoolctl import threadpool_limits

from sfumato.evaluation.attacks.suite import attack_names


def main() -> None:
    """Read the command line, measure, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the shipped tables")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--only", nargs="+", choices=tuple(STUDIED), default=list(STUDIED))
    parser.add_argument(
        "--released",
        nargs="+",
        action="extend",
        default=[],
        metavar="DATA=FILE.csv",
        help="more releases, such as our own: obesity, backpain or cardio, and a CSV file",
    )
    parser.add_argument("--without", nargs="+", default=[], help="attacks to leave out, by name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="threads of the linear algebra")
    arguments = parser.parse_args()
    books = {key: read_data_set(arguments.data, key) for key in arguments.only}
    for given in arguments.released:
        key, _, file = given.partition("=")
        if key not in books or not file:
            parser.error(f"--released {given}: write DATA=FILE.csv, DATA one of {', '.join(books)}")
        books[key] = with_release(books[key], Path(file))
    attacks = tuple(name for name in attack_names() if name not in arguments.without)
    print(f"attacks: {', '.join(attacks) or 'none'}")
    known = published()
    results = {}
    with threadpool_limits(arguments.threads):
        for key, data in books.items():
            results[key] = _measured(data, attacks, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    checks = checked(known, results)
    text = json.dumps(plain(results, known, checks), indent=1, allow_nan=False)
    (arguments.out / "study.json").write_text(text + "\n", "utf-8")
    write_page(arguments.out / "report.html", shown(known, results), checks, known, attacks)
    for check in checks:
        print(f"{check.data:9}{check.release:4}{check.figure:36}{check.then:8.3f}{check.now:9.4f}")
    print(f"written: {arguments.out / 'report.html'}")


def _measured(data: DataSet, attacks: tuple[str, ...], seed: int) -> Study:
    start = time.process_time()
    found = measured(data, attacks, seed)
    print(f"{data.key}: {len(data.releases)} releases, {time.process_time() - start:.1f} s CPU")
    return found


if __name__ == "__main__":
    main()
