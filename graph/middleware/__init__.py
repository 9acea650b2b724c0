"""Middleware: pure ASGI, one class a file. It may import `graph.http`, which never imports it."""
