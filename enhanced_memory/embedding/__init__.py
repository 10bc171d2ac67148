"""Meaning as vectors: models that run on this machine, loaded only when they are wanted and installed."""
