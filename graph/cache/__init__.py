"""The response cache, ETags and Cache-Control headers."""
