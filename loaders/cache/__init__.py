"""Prices of versions in memory, and how they are warmed before a process turns to them."""
