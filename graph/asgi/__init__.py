"""ASGI basics: headers, media types and request ids."""
