"""What `beir-hybrid train` and `debias` do: a run, its settings, its folder, and what is written beside the weights."""
