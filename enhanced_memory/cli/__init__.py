"""The person's side of the west wing: the `enhanced-memory` command line."""
