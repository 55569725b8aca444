"""A simulation that is told to end, or killed, leaves no server and no folder behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.donation.in_process import people

from sfumato.donation.simulation.leaving import ended_in_order

PROGRAM = """
import sys
from pathlib import Path
import polars as pl
from sfumato.donation.simulation import SimulationSettings, local_servers, simulate_round
from sfumato.table import Hierarchy, Schema

start = local_servers.LocalServers.start
servers = []
def begun(self):
    start(self)
    servers.append(self)
local_servers.LocalServers.start = begun
def told(task, done, total):
    if task == "donating" and done:
        pids = [process.pid for process in servers[0]._processes]
        place = servers[0].organisations[0].folder.parent
        Path("told").write_text(f"{' '.join(map(str, pids))}\\n{place}")
        Path("told").rename("started")
schema = Schema(quasi_identifiers={"age": Hierarchy.bands([4, 8]), "sex": None}, rest="other")
if __name__ == "__main__":
    settings = SimulationSettings(k=5, n_min=100)
    simulate_round(pl.read_csv("people.csv"), schema, settings, progress=told)
"""


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # one that has ended and that nobody has waited for is there by name only
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or ") Z" not in stat.read_text()


def begun(folder: Path) -> tuple[subprocess.Popen[bytes], list[int], Path]:
    """Start a simulation and return it while its donors donate, with its servers' numbers."""
    people(4000).write_csv(folder / "people.csv")
    (folder / "program.py").write_text(PROGRAM)
    (folder / "temporary").mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(folder / "temporary"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 120
    while not (folder / "started").exists():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < end
        time.sleep(0.05)
    servers, place = (folder / "started").read_text().split("\n")
    (folder / "started").unlink()
    return process, [int(number) for number in servers.split()], Path(place)


def wait_until_gone(processes: list[int]) -> None:
    end = time.monotonic() + 60
    while any(is_there(process) for process in processes):
        assert time.monotonic() < end, "a server is left"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
def test_a_simulation_that_is_told_to_end_takes_all_with_it(tmp_path, number, code):
    process, servers, place = begun(tmp_path)
    assert place.is_dir()
    process.send_signal(number)
    _, words = process.communicate(timeout=25)
    assert process.returncode in {code, 128 + number, 1}, words
    assert not any(is_there(server) for server in servers)
    assert not place.exists()
    assert b"Process SpawnProcess" not in words  # the donating processes say nothing


@pytest.mark.slow
@pytest.mark.long
def test_servers_of_a_killed_simulation_end_and_the_next_one_is_not_disturbed(tmp_path):
    process, servers, place = begun(tmp_path)
    process.kill()
    process.communicate(timeout=25)
    wait_until_gone(servers)
    assert place.is_dir()  # nobody was left to remove it
    following, others, elsewhere = begun(tmp_path)
    assert elsewhere != place
    assert not set(others) & set(servers)
    following.terminate()
    following.communicate(timeout=25)
    assert following.returncode == 143
    assert not elsewhere.exists()


def test_a_signal_ends_the_block_once_and_tidying_is_not_disturbed():
    tidied = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    @ended_in_order()
    def work(number: int) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            tidied.append(number)

    with pytest.raises(SystemExit, match=f"^{128 + signal.SIGTERM}$"):
        work(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        work(signal.SIGINT)
    assert tidied == [signal.SIGTERM, signal.SIGINT]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_process_ends_with_the_one_that_holds_its_input():
    program = (
        "import time; from sfumato.donation.simulation.leaving import leave_with_parent; "
        "leave_with_parent(); print('up', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"up\n"
    process.communicate(timeout=20)  # closes its input
    assert process.returncode == -signal.SIGTERM
