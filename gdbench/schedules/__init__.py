"""Schedules: the folder is the registry."""
