"""An open proxy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interfaces.http.proxy.stage import Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def open_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(tmp_path) as opened:
        yield opened
