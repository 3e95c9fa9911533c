"""The recipe that made the shipped weights; also trains on a user's own pictures."""
