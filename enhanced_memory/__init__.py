"""Enhanced Memory: one memory that AI assistants share, on the machine of the person it serves."""

__version__ = "0.1.0"
