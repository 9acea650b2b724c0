"""The catalog: price lists and their pointers, versions, events, gates, retention, rollback, API keys and processes."""
