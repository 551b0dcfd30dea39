"""What a leaderboard is made from: rank tables, results, predictions, settings, training data."""
