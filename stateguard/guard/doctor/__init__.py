"""What keeps, or may keep, a guard from its work; each finding with the command that mends it."""
