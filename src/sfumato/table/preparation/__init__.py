"""A table as numbers for a learner: encoders fitted once, on training rows only."""
