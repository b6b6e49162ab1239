"""Pairs of the Solidly family, volatile and stable: Velodrome, Aerodrome, Solidly and their forks."""
