"""What is kept for good: the audit chain, baselines, and history as a projection of the chain."""
