"""The daemon: composition root, cycle, control API; and the same operations without a daemon."""
