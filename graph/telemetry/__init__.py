"""Metrics, logs and traces of a process.

Requests and batches update plain numbers. If metrics are enabled, these are copied to Prometheus once a second. Logs
and traces carry the IDs of their request.
"""
