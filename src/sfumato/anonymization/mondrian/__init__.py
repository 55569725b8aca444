"""Mondrian: the people are cut into groups, again and again, where they differ most."""
