"""Promises of speed, measured: benchmark contracts run through pyperf, each beside its reference.

Layer: bench. On top: uses hooks for the contracts and kernel for where to measure.
"""
