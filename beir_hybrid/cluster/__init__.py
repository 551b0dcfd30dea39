"""A pass on more than one process: shards by files that are merged, and Ray."""
