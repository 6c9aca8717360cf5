"""The hooks of the served repository: small clients of the guard, and what they do when it does not run."""
