"""Tests of the example state."""
