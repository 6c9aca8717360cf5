"""From observations to conditions; pure, so that any incident can be replayed."""
