"""Functions from problem to problem that carry what is known along: the folder is the registry."""
