"""Micro-aggregation: numbers become the mean, median or range of small groups."""
