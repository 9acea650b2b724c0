"""GraphQL documents: parsed, validated, measured, and kept."""
