"""The MongoDB driver: connection, transactions, leases, locks, reads on secondaries and driver metrics."""
