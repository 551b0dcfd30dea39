"""Leaderboard tables with paired significance tests; installs as beir_hybrid.leaderboard."""
