"""The throw-away workspace that a first visitor meets: its people, its mail and its sandbox world."""
