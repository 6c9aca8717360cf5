"""The meal-planning agents: a small deterministic rule engine behind HTTP."""
