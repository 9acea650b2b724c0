"""A batch, from its submission to its publication."""
