"""Closed forms on a quadratic: stability boundaries, rates, orbits and best hyperparameters. NumPy only.

One file a method, each with its ``THEORY``; ``gather("gdbench.theory", ClosedForm)`` finds them all.
"""
