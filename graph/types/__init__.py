"""The types of the schema.

A resolver returns a record of storage (`storage.Price`, `storage.Snapshot`, ...) and names its GraphQL type with
`graphql_type`. Fields without a resolver read the attribute of the same name, so records are never copied.
"""
