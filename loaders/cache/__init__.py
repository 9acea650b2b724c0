"""The versions that a process serves, reads of them, and their warming before the process switches to them."""
