"""Benchmarks that `contract.toml` names; plain pyperf scripts."""
