"""The east wing: the daemon, which owns the database and answers everyone."""
