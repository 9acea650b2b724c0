"""GraphQL over HTTP: requests, responses, multipart uploads, persisted documents, event streams and WebSockets."""
