"""The GraphQL schema: its root types, its construction, look-ahead, and errors as clients receive them."""
