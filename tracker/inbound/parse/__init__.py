"""What a letter says: its parts, its kind, whom it answers, what a report tells. Pure."""
