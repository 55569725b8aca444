"""What is in a table and who is at risk in it: aggregates, never a cell of an identifier."""
