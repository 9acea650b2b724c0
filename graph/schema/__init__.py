"""The GraphQL schema: its roots, how it is built, look-ahead, and errors as clients get them."""
