"""What holds for all tests: nothing is written outside their own folders."""

import pytest

from sfumato.release.evaluation_log import STATE_VARIABLE


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory, monkeypatch):
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path_factory.getbasetemp() / "state"))
