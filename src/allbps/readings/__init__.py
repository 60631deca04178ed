"""Ways to read a graph; none imports another."""
