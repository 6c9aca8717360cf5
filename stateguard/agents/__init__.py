"""The agents' processes: started, supervised, stopped, and taken over from a guard that died."""
