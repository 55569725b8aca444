"""Techniques are found by their names, ours and those of other packages."""

from importlib.metadata import EntryPoint

import pytest

from sfumato.anonymization import Clean, Rules
from sfumato.errors import PlanError
from sfumato.release import registry
from sfumato.synthesis import GaussianCopula


def test_our_techniques_are_registered():
    assert {"clean", "rules", "mondrian", "copula"} <= set(registry.technique_names())
    assert registry.technique("rules") is Rules
    assert registry.name_of(GaussianCopula()) == "copula"


def test_what_a_technique_makes_is_read_from_its_annotation():
    assert registry.makes(Rules) == "recoding"
    assert registry.makes(GaussianCopula) == "generator"
    assert registry.makes(int) == "unknown"


def test_an_unknown_technique_lists_those_that_exist():
    with pytest.raises(
        PlanError,
        match=r"Did you mean 'rules'\? Known: autoencoder, cell-suppression, ",
    ):
        registry.technique("rule")


@pytest.mark.parametrize(
    ("value", "says"),
    [("sfumato.nowhere:X", "does not load"), ("sfumato.errors:DataError", "is no Settings class")],
)
def test_a_broken_registration_is_told(monkeypatch, value, says):
    point = EntryPoint("broken", value, registry.GROUP)
    monkeypatch.setattr(registry, "_registered", lambda: {"broken": point})
    with pytest.raises(PlanError, match=says):
        registry.technique("broken")


def test_a_technique_of_another_package_has_its_class_for_a_name():
    class Own(Clean):
        pass

    assert registry.name_of(Own()).endswith("Own")
