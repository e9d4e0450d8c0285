"""gdbench."""
