"""Private synthesis by marginals that are chosen, measured and fitted by a graphical model."""

from sfumato.synthesis.private.marginals.graphical_model import GraphicalModel
from sfumato.synthesis.private.marginals.junction_tree import JunctionTree
from sfumato.synthesis.private.marginals.marginals_generator import MarginalsGenerator
from sfumato.synthesis.private.marginals.technique import DPMarginals

__all__ = ["DPMarginals", "GraphicalModel", "JunctionTree", "MarginalsGenerator"]
