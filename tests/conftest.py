"""What holds for all tests: nothing is written outside their own folders, one thread per library.

The tests' tables are small and their processes (pytest -n 2) already fill the processors. The
threads of OpenMP wait in a busy loop for each other: two processes with two threads each on two
processors spend many times the work's own time waiting. Polars keeps its threads, so that a result
that depends on their order is still found.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

# Before any library is loaded; a child process inherits it. Who sets them differently is obeyed.
for _variable in ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# What a property test says must not depend on how busy the machine is.
settings.register_profile("sfumato", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("sfumato"), derandomize=True)
settings.load_profile("sfumato")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory, monkeypatch):
    from sfumato.release.evaluation_log import STATE_VARIABLE

    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path_factory.getbasetemp() / "state"))
