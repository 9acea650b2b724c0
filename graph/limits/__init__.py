"""Limits of what callers may request. An operation over a limit is rejected before it is executed.

limits         the limits of documents and operations
rates          requests per second
subscriptions  concurrent subscriptions
time_limit     the timeout of queries
"""
