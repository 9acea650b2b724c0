"""Limits of what callers may request, and of what they may have in progress.

limits      the limits of documents and operations
bodies      request bodies, and the memory for those in progress
rates       requests per second
cpu_budget  CPU time for new documents
slots       concurrent subscriptions and WebSockets
time_limit  the timeout of queries
"""
