"""What the configuration knows and this version does not do yet.

Every entry here is a promise: the part that keeps it deletes its lines, and nothing else has to change.
"""

from __future__ import annotations

from router_memory.config.model import MemorySection
from router_memory.config.own import MEMORY_PATH

__all__ = ["not_yet_warnings"]


def not_yet_warnings(memory: MemorySection) -> list[str]:
    """One sentence for each key that was set and has no effect in this version."""
    found = []
    if "quality_scoring" in memory.model_fields_set:
        found.append(f"{MEMORY_PATH}.quality_scoring: nothing is pruned yet; memories stay until they are deleted")
    if memory.extraction_batch_size != MemorySection.model_fields["extraction_batch_size"].default:
        found.append(f"{MEMORY_PATH}.extraction_batch_size: has no effect, every turn is stored when it ends")
    return found
