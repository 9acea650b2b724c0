"""The commands of releases: several price lists that are published, and rolled back, in one move."""
