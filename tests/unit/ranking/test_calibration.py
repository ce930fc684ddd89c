"""Which similarity map an embedder gets."""

from __future__ import annotations

import pytest

from router_memory.ranking import UNFITTED, calibration_for

MINILM = "all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-72e24ed58e431ab2"


@pytest.mark.parametrize("runtime", ["torch", "onnx", "onnx-int8"])
def test_the_default_model_has_a_fitted_map_under_each_runtime(runtime: str) -> None:
    """Thresholds mean what they say."""
    assert calibration_for(MINILM, runtime).fitted


def test_runtimes_of_one_precision_share_a_map() -> None:
    """Their vectors are the same; those of int8 are not."""
    assert calibration_for(MINILM, "torch") is calibration_for(MINILM, "onnx")
    assert calibration_for(MINILM, "torch") is not calibration_for(MINILM, "onnx-int8")


def test_other_models_have_none() -> None:
    """Nor has the same one with other prefixes."""
    for print_ in (MINILM[:-1] + "0", "other/384/x"):
        assert calibration_for(print_, "torch") is UNFITTED
