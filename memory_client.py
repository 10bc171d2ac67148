"""Door: the client of the memory daemon, to import from: `from memory_client import MemoryClient`."""

from enhanced_memory.client import BlockingMemoryClient, DaemonUnavailable, MemoryClient

__all__ = ["BlockingMemoryClient", "DaemonUnavailable", "MemoryClient"]
