"""The client of the GraphQL API."""
