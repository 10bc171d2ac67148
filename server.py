"""The door to the MCP server: `python3 server.py` serves the memory to an assistant over standard input and output."""

from enhanced_memory.mcp.main import main

if __name__ == "__main__":
    main()
