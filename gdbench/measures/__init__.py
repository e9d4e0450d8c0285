"""gdbench.measures."""
