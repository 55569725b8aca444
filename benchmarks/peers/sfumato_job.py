"""Our own job: read, fit, recode and write with one technique, as a user of the library would."""

from __future__ import annotations

from job import Job, cpu, run
from numba.core.registry import cpu_target

import sfumato as sf
from sfumato.anonymization import FullDomain, LocalRecoding, Mondrian

TECHNIQUES = {"local": LocalRecoding, "full-domain": FullDomain, "mondrian": Mondrian}


def work(job: Job) -> dict[str, float]:
    """Make the release; fit again as often as asked, to see it with compiled loops loaded."""
    more = dict(job.more)
    again = more.pop("again", 0)
    technique = TECHNIQUES[more.pop("technique")](k=job.k, **more)
    begun = cpu()
    table = sf.read(job.input)
    hierarchies = {name: sf.Hierarchy.read(job.hierarchies[name]) for name in job.quasi}
    schema = sf.Schema(quasi_identifiers=hierarchies, rest="other")
    read = cpu()
    recoding = technique.fit(table, schema)
    fitted = cpu()
    released = recoding.recode(table)
    recoded = cpu()
    sf.write(released, job.output, overwrite=True)
    written = cpu()
    times = {
        "read": read - begun,
        "fit": fitted - read,
        "recode": recoded - fitted,
        "write": written - recoded,
    }
    repeated = []
    for _ in range(again):
        since = cpu()
        technique.fit(table, schema)
        repeated.append(cpu() - since)
    if repeated:
        times["fit again"] = sorted(repeated)[len(repeated) // 2]
        times["again in all"] = sum(repeated)
    return times


def load(job: Job) -> None:
    """Import what numba imports when a compiled loop is first called: itself, and scipy.linalg.

    Mondrian's loops need none of it.
    """
    if job.more["technique"] != "mondrian":
        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()


if __name__ == "__main__":
    run(work, load)
