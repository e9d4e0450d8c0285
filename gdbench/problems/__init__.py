"""Families of problems: the folder is the registry, one file a family."""
