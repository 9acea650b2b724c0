"""Benchmarks, as ratios to a baseline of the same run. `python -m bench` runs all, `python -m bench merges` one."""
