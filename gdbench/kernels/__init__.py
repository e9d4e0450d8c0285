"""How a batch of descents is executed."""
