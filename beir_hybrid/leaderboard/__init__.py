"""The leaderboard: from rank tables to a board with tests, and from the board to tables, a page and plots."""
