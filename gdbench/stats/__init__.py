"""gdbench.stats."""
