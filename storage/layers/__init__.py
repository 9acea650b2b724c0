"""Layers: writing, reading and merging them, scans, differences between versions and the history of a price."""
