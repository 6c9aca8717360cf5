"""Copies elsewhere: everything of the served repository, kept up in the background, never forced."""
