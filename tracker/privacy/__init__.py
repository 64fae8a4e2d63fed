"""Rights of the people we write to, and of our own: what is held of whom, the archive, erasure, retention, papers."""
