"""Optimizers: the folder is the registry."""
