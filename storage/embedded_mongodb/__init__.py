"""A MongoDB replica set on this machine, for development without a MongoDB deployment."""
