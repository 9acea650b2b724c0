"""Releases: several batches, each of its own list, that are published in one transaction, or none."""
