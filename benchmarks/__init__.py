"""Measurements that back the figures in the documentation: ``python -m benchmarks.<name>``."""
