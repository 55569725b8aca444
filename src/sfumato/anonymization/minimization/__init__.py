"""Data minimization: which inputs a model does not need in full detail."""
