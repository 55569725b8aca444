"""The lattice of full-domain generalization, and its optimum: one level a column for everybody."""
