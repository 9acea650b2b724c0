"""Tests of the charts of the console."""
