"""What a process tells of itself: logs, traces, and the ids by which they are found.

request_ids  an id for each request, the client's own where it has one
logs         lines for people on a terminal, JSON for programs
traces       OpenTelemetry, where the usual variables ask for it
"""
