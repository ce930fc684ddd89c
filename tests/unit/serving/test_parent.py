"""The parent, without its processes."""

from __future__ import annotations

import pytest

from router_memory.errors import RouterMemoryError
from router_memory.serving.material import Material
from router_memory.serving.parent import Parent


async def test_a_configuration_that_no_worker_can_try_is_not_taken() -> None:
    """It would be what all the next ones start with, and what a reload must not open could be in it."""
    material = Material.read(1, None, {})
    parent = Parent(material, material.load(), [], say=print)
    with pytest.raises(RouterMemoryError, match="no worker serves"):
        await parent.reload()
    assert parent._material is material
