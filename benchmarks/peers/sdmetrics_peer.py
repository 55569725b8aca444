"""sdmetrics: distance to the closest record, the share of copies, the quality report."""

import json
import sys
import time
import warnings

import pandas as pd


def main() -> None:
    with open(sys.argv[1]) as file:  # noqa: PTH123
        job = json.load(file)
    warnings.filterwarnings("ignore")
    from sdmetrics.single_table import DCROverfittingProtection

    real, released, control = (pd.read_csv(job[key]) for key in ("train", "released", "control"))
    times = {"import": time.process_time()}
    columns = {
        name: {"sdtype": "numerical" if real[name].dtype.kind in "if" else "categorical"}
        for name in real.columns
    }
    metadata = {"tables": {"people": {"columns": columns}}}
    rows = job["sizes"]["nearest record"]
    people = job["sizes"]["people"]
    since = time.process_time()
    score = DCROverfittingProtection.compute_breakdown(
        real_training_data=real.head(people),
        synthetic_data=released.head(rows),
        real_validation_data=control.head(people),
        metadata=metadata,
        table_name="people",
    )
    times["nearest record"] = time.process_time() - since
    found = {"nearest record": {"attacks": rows, "score": float(score["score"])}}
    print("TIMES " + json.dumps({**times, "found": found}), flush=True)


if __name__ == "__main__":
    main()
