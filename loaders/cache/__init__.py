"""The cache of versions in memory, and the warming of a new version before a process switches to it."""
