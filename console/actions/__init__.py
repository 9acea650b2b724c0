"""What an operator can do: each action shows what it will change, asks for a reason, and does it."""
