"""Local recoding: classes of people, found by peeling the lattice, borrowing and repair."""
