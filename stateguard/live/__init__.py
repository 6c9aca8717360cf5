"""The live directory: what lies there, what changed, and writing it without ever tearing a file."""
