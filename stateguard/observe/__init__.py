"""Probes: asked on their schedule, judged by Kubernetes' thresholds."""
