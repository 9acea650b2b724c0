"""The commands for operators: GraphQL documents sent over HTTP or, with --direct, executed in this process."""
