"""What each request means: one function an operation, grouped by what it is about.

Above lie the wings that serve and ask; below lie rules, which decide, and the store, which keeps.
"""
