"""The parts of `bench.scale`: what one replica set carries, and what slows down first."""
