"""What a caller may ask of the service: told before an operation is executed, with what was asked and what is allowed.

limits         the limits of a process
shape          how deep and how wide a document is
cost           how many objects an operation may answer with
rates          requests a second
subscriptions  operations that are followed at once
"""
