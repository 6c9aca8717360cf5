"""The demo: a person at work with git and the command line, on the running example; nothing is simulated."""
