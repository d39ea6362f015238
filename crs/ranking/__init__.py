"""Ranking of a whole catalogue: data, signals, a learned blend of them, baselines and their measurement."""
