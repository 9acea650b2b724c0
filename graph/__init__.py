"""The GraphQL API: schema, execution, and its HTTP endpoint."""
