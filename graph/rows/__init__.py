"""The rows of batches, cut out of request bodies before graphql-core sees them."""
