"""The types of the schema.

A resolver answers with the record that storage holds (`storage.Price`, `storage.Snapshot`, ...) and names the type it
is shown as by `graphql_type`; fields without a resolver read the record's attribute of the same name. So a record is
never copied on its way to the wire.
"""
