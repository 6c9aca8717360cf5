"""Decisions (pure, one file each) and the one orchestrator that carries them out."""
