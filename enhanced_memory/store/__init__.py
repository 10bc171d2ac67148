"""Where memories are kept: `base` says what a store can do, `sqlite/` does it."""
