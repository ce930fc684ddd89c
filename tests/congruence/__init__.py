"""Two backends, one behaviour: the same calls on both, every answer compared."""

import pytest

pytest.register_assert_rewrite("tests.congruence.twins")
