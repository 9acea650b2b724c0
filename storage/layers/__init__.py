"""Layers of sorted blocks: format, writing, proof, block cache, reading, merging, scans, diffs, history of a price."""
