"""Every command that works on a home: one table, asked by the control API and by the command line alike."""
