"""Clients of GraphQL as they come, with their default configuration, against a real server."""
