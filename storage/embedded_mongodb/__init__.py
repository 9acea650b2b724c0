"""A real replica set on this machine, started for whoever has no MongoDB of their own."""
