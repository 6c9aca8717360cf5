"""The guard's own metrics, in Prometheus' text format."""
