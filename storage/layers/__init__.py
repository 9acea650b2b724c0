"""Layers: writing, reading, merging and scanning them, diffs of versions, and the history of a price."""
