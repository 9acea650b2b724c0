"""Tests of the parts of pages of the console."""
