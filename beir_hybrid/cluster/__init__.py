"""One run on several machines: shards whose counts are merged, and Ray."""
