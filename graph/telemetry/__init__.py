"""What a process tells of itself to those who run it.

What is counted on the way of a request or a batch is plain numbers; once a second, and only where somebody asks for
metrics, they are told to Prometheus. Logs and traces are found by the ids of a request.
"""
