"""Counters that are recomputed, and the quick ways to rows that recomputing needs."""
