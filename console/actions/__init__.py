"""The actions of operators: each shows what it will change, asks for a reason, and does it."""
