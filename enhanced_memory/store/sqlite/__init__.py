"""The store on SQLite: the only SQL, sqlite3 and pickle of the project."""
