"""Measurements of stateguard beside what people would use instead: ``python -m benchmarks``, ``make bench``."""
