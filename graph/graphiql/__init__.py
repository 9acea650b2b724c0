"""GraphiQL, the page on which people write queries, with its files."""
