"""Leaving rows out: stratified sampling of classes, and research subsets."""
