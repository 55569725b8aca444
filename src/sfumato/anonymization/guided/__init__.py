"""Guided: the groups of people are those between whose answers a model sees least difference."""
