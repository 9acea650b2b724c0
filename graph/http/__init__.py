"""What HTTP adds to GraphQL: pure ASGI, one purpose a file."""
