"""GraphQL documents: parsing, validation, limits, and what is computed once for each operation."""
