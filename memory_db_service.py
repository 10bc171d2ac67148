"""Door: the daemon. Run it with `python3 memory_db_service.py`, or import MemoryDBService and ask it directly."""

from enhanced_memory.service.dispatcher import MemoryDBService
from enhanced_memory.service.main import main

__all__ = ["MemoryDBService", "main"]

if __name__ == "__main__":
    main()
