"""Tests of the console: what its pages show, computed without a server."""
