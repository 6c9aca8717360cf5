"""The machine: durable files, locks, commands, HTTP, clock, database. Nothing here knows what a state is."""
