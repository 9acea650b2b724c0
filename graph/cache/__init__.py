"""The cache of responses, ETags and Cache-Control."""
