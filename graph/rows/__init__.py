"""The rows of batches: extracted from request bodies and variables before graphql-core coerces them, or uploaded."""
