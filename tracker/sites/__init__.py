"""Websites whose addresses are swapped: what is set up, what is published to the edges, and where each letter comes from."""
