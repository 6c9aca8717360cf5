"""Escaping, redaction and the words for numbers; pure."""
