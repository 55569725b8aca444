"""Running a tool in a process of its own, measuring it, having its file judged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import polars as pl
from peers.judge import Column, Verdict, judge
from peers.roster import Data, Tool

HERE = Path(__file__).resolve().parent
QUICK = 5.0  # seconds; what takes less is measured several times
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


@dataclass(frozen=True)
class Run:
    """One process that ended, or was ended."""

    cpu: float
    wall: float
    peak: float  # GB
    times: dict[str, float]
    failure: str = ""


@dataclass(frozen=True)
class Result:
    """What a tool did at one k."""

    tool: Tool
    run: Run
    verdict: Verdict | None = None

    @property
    def job(self) -> float:
        """CPU seconds after import."""
        return self.run.times.get("job", float("nan"))


@dataclass
class Bench:
    """Where things are, and how long each run may take."""

    data: Path
    folder: Path
    environments: Path | None
    cap: float
    repeat: int
    threads: int
    inputs: dict[str, Path] = field(default_factory=dict)
    columns: dict[str, list[Column]] = field(default_factory=dict)

    def input(self, data: Data) -> Path:
        """Return the table as plain CSV with commas, which every tool reads."""
        path = self.folder / f"{data.file.split('.')[0]}.csv"
        if not path.exists():
            table = pl.read_csv(self.data / data.file, separator=data.delimiter, infer_schema=False)
            table.drop("ID", strict=False).write_csv(path)
        return path

    def judged(self, data: Data, path: Path, members: str = "") -> Verdict:
        """Return what a written release lost."""
        key = data.name
        if key not in self.columns:
            table = pl.read_csv(self.input(data), infer_schema=False)
            self.columns[key] = [
                Column.of(name, name in data.numbers, data.hierarchy(self.data, name), table[name])
                for name in data.quasi
            ]
        told = {"": (), "numbers": data.numbers, "all": data.quasi}[members]
        return judge(path, self.columns[key], frozenset(told))

    def python(self, tool: Tool) -> Path | str:
        """Return the Python that has a tool, or why there is none."""
        if tool.is_ours:
            return Path(sys.executable)
        if self.environments is None:
            return "not installed: name a folder of environments, or say --install"
        home = self.environments / Path(tool.script).stem
        failure = home / "failure.txt"
        if failure.exists():
            return "does not install: " + failure.read_text()
        if not (home / "installed").exists():
            return "not installed: say --install"
        return home / "bin" / "python"

    def install(self, tool: Tool) -> None:
        """Give a peer an environment of its own, or note why that failed."""
        home = self.environments / Path(tool.script).stem
        wanted = " ".join(tool.requirements)
        done = home / "installed"
        if done.exists() and done.read_text() == wanted:
            return
        shutil.rmtree(home, ignore_errors=True)
        print(f"installing {wanted}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
        found = subprocess.run(
            [*pip, *tool.requirements], capture_output=True, text=True, check=False
        )
        if found.returncode:
            (home / "failure.txt").write_text(_reason(found.stderr))
        else:
            done.write_text(wanted)

    def start(self, tool: Tool, python: Path, arguments: list[str]) -> Run:
        """Run a script to its end or to the cap, and measure it."""
        environment = os.environ | dict.fromkeys(THREADS, str(self.threads))
        environment["PYTHONWARNINGS"] = "ignore"
        command = [str(python), str(HERE / tool.script), *arguments]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            begun = time.perf_counter()
            process = subprocess.Popen(
                command,
                stdout=out,
                stderr=err,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            )
            ended, capped = 0, False
            while not ended:
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
                late = time.perf_counter() - begun > self.cap
                if not ended and late:
                    capped = True
                    os.killpg(process.pid, signal.SIGKILL)
                if not ended:
                    time.sleep(0.01)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = time.perf_counter() - begun
            out.seek(0)
            err.seek(0)
            lines = out.read().decode(errors="replace").splitlines()
            complaint = err.read().decode(errors="replace")
        times = [json.loads(line[6:]) for line in lines if line.startswith("TIMES ")]
        failure = ""
        if capped:
            failure = f"> cap of {self.cap:.0f} s"
        elif process.returncode or not times:
            failure = f"crashes: {_reason(complaint)}"
        found = times[-1] if times else {}
        again = found.pop("again in all", 0.0)
        if "job" in found:
            found["job"] -= again
        unit = 1 if sys.platform == "darwin" else 1024
        cpu = used.ru_utime + used.ru_stime - again
        return Run(cpu, wall, used.ru_maxrss * unit / 1e9, found, failure)

    def release(self, tool: Tool, data: Data, k: int) -> Result:
        """Let a tool make a release, several times if it is quick; judge the file."""
        python = self.python(tool)
        if isinstance(python, str):
            return Result(tool, Run(0, 0, 0, {}, python))
        output = self.folder / "released.csv"
        output.unlink(missing_ok=True)
        job = self.folder / "job.json"
        job.write_text(
            json.dumps(
                {
                    "input": str(self.input(data)),
                    "output": str(output),
                    "quasi": data.quasi,
                    "numbers": data.numbers,
                    "sensitive": data.sensitive,
                    "hierarchies": {
                        name: str(data.hierarchy(self.data, name)) for name in data.quasi
                    },
                    "k": k,
                    "suppression": tool.suppression,
                    "more": tool.more,
                }
            )
        )
        runs = [self.start(tool, python, [str(job)])]
        if not runs[0].failure and runs[0].wall < QUICK:
            runs += [self.start(tool, python, [str(job)]) for _ in range(self.repeat - 1)]
        run = _middle(runs)
        if run.failure:
            return Result(tool, run)
        try:
            return Result(tool, run, self.judged(data, output, tool.members))
        except (ValueError, pl.exceptions.PolarsError, OSError) as error:
            return Result(tool, replace(run, failure=f"its file cannot be judged: {error}"))


def _middle(runs: list[Run]) -> Run:
    """Return the median of each figure; a failure if any run failed."""
    failed = [run for run in runs if run.failure]
    if failed or len(runs) == 1:
        return failed[0] if failed else runs[0]
    names = runs[0].times
    return Run(
        median(run.cpu for run in runs),
        median(run.wall for run in runs),
        max(run.peak for run in runs),
        {name: median(run.times[name] for run in runs) for name in names},
    )


def _reason(complaint: str) -> str:
    """Return the last line of an error, short."""
    lines = [text.strip() for text in complaint.splitlines() if text.strip()]
    return (lines[-1] if lines else "no word")[:160]
