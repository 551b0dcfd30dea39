"""The board: one JSON document with all figures of a leaderboard."""
