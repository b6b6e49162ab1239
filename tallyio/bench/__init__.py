"""Promises of speed, measured: benchmark contracts run through pyperf, each beside its reference.

Layer: bench. On top: uses hooks for the contracts, kernel for where to measure, and native for the ruler that
times of different machines are scaled by.
"""
