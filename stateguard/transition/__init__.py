"""The one engine: plan, journal, stages, validation."""
