"""Figures, each as a ratio to a baseline of the same run. `python -m bench` runs all, `python -m bench merge` one."""
