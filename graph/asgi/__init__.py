"""ASGI basics: headers, bodies, media types and request ids."""
