"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# No clock decides a test: machines are shared and noisy. In CI the examples are the same each time, so that a run says
# something about the change; elsewhere they differ, so that they find something new.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

pytest_plugins = ["tests.servers.fixtures", "tests.servers.summary"]
