"""Background work: the worker, expiration, garbage collection and compaction."""
