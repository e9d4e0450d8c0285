"""Figures: one file each, numbers first (``data``), then drawing (``draw``)."""
