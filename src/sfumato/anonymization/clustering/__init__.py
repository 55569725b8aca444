"""Clusters of near people: top-down greedy, k-member, one-pass k-means, nearest neighbours."""
