"""Readers of other programs' files, one module a format; each gives one stream of items (`items.py`).

Above them lies `cli/importing.py`, which sends the items to the daemon; below them `source.py`, which reads with
bounds. What they read is untrusted: a reader keeps no more than one item at a time and never writes a file.
"""
