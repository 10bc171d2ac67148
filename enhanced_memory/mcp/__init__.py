"""The assistant's side: a FastMCP server that turns every operation into a tool and keeps no state of its own.

Above it stands the door `server.py`, below it the client and the register of operations. Importing this package
loads nothing; `main` reads the command line, and only then is FastMCP loaded, which takes about a second.
"""
