"""Throughput against peers: the same work done in several ways, each checked before it is timed."""
