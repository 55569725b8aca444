"""anonymeter: singling out, linkability and inference as its documentation shows them.

Prints for each attack its CPU seconds, how many attacks were really made and what it found.
"""

import json
import sys
import time
import warnings

import pandas as pd


def main() -> None:
    with open(sys.argv[1]) as file:  # noqa: PTH123
        job = json.load(file)
    warnings.filterwarnings("ignore")
    from anonymeter.evaluators import (
        InferenceEvaluator,
        LinkabilityEvaluator,
        SinglingOutEvaluator,
    )

    real, released, control = (pd.read_csv(job[key]) for key in ("train", "released", "control"))
    found, times = {}, {"import": time.process_time()}
    wanted = job["attacks"]

    def timed(name, make, **how):
        since = time.process_time()
        evaluator = make()
        evaluator.evaluate(**how)
        times[name] = time.process_time() - since
        risk = evaluator.risk(confidence_level=0.95)
        found[name] = {
            "attacks": job["sizes"][name],
            "risk": float(risk.value),
            "interval": [float(end) for end in risk.ci],
        }

    if "singling out" in wanted:
        timed(
            "singling out",
            lambda: SinglingOutEvaluator(
                ori=real,
                syn=released,
                control=control,
                n_attacks=job["sizes"]["singling out"],
                n_cols=3,
            ),
            mode="multivariate",
        )
    if "linkability" in wanted:
        timed(
            "linkability",
            lambda: LinkabilityEvaluator(
                ori=real,
                syn=released,
                control=control,
                n_attacks=job["sizes"]["linkability"],
                aux_cols=tuple(job["views"]),
                n_neighbors=10,
            ),
            n_jobs=1,
        )
    if "inference" in wanted:
        since = time.process_time()
        risks = {}
        for secret in job["secrets"]:
            evaluator = InferenceEvaluator(
                ori=real,
                syn=released,
                control=control,
                aux_cols=[name for name in real.columns if name != secret],
                secret=secret,
                n_attacks=job["sizes"]["inference"],
            )
            evaluator.evaluate(n_jobs=1)
            risks[secret] = float(evaluator.risk(confidence_level=0.95).value)
        times["inference"] = time.process_time() - since
        found["inference"] = {
            "attacks": job["sizes"]["inference"] * len(job["secrets"]),
            "risk": risks,
        }
    print("TIMES " + json.dumps({**times, "found": found}), flush=True)


if __name__ == "__main__":
    main()
