"""Tests of the actions of the console."""
