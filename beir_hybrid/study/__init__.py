"""The study: the claims of arXiv 2408.10536, tested by training and evaluating what a study.toml lists."""
