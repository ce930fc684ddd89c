"""Attention as one node: where it is recognised, and where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from router_memory.backends.bert.onnx import job
from router_memory.backends.bert.onnx.fusing import fuse_attention
from router_memory.backends.bert.onnx.manifest import GRAPH

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

HEADS, HEAD, TOKENS = 2, 3, 200
WIDTH = HEADS * HEAD
MASK = np.array([[1] * TOKENS, [1] * 150 + [0] * (TOKENS - 150)], dtype=np.int64)
PLAIN = np.zeros((1, 1, 1, 1), dtype=np.float32)
AHEAD = np.arange(TOKENS)[None, :] - np.arange(TOKENS)[:, None]
CAUSAL = np.where(AHEAD > 0, np.float32(-1e30), np.float32(0.0))[None, None]
WINDOW = np.where(abs(AHEAD) > 64, np.float32(-1e30), np.float32(0.0))[None, None]
OF_EACH_HEAD = np.arange(HEADS, dtype=np.float32)[None, :, None, None]


def _graph(file: Path, *, added: NDArray[np.float32] = PLAIN, bias: bool = True) -> Path:
    """An attention and a normalization behind it, as exporters write them.

    Args:
        added: To the scores, beside what hides padding. Broadcasts to (sequences, heads, tokens, tokens).
        bias: Whether the keys' projection has one.
    """
    rng = np.random.default_rng(7)
    node, constants, nodes = onnx.helper.make_node, {}, []

    def constant(name: str, value: Any) -> str:
        constants[name] = np.asarray(value)
        return name

    def drawn(name: str, *shape: int) -> str:
        return constant(name, rng.standard_normal(shape).astype(np.float32))

    heads = constant("heads", np.array([0, 0, HEADS, HEAD]))
    for name, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        nodes.append(node("MatMul", ["hidden", drawn(f"{name}.weight", WIDTH, WIDTH)], [f"{name}.product"]))
        drawn(f"{name}.bias", WIDTH)
        if bias or name != "key":
            nodes.append(node("Add", [f"{name}.bias", f"{name}.product"], [f"{name}.all"]))
        else:
            nodes.append(node("Identity", [f"{name}.product"], [f"{name}.all"]))
        nodes.append(node("Reshape", [f"{name}.all", heads], [f"{name}.heads"]))
        nodes.append(node("Transpose", [f"{name}.heads"], [name], perm=order))
    one, least = constant("one", np.float32(1.0)), constant("least", np.float32(-1e30))
    nodes += [
        node("FusedMatMul", ["query", "key"], ["scores"], domain="com.microsoft", alpha=HEAD**-0.5),
        node("Cast", ["attention_mask"], ["shown"], to=onnx.TensorProto.FLOAT),
        node("Unsqueeze", ["shown", constant("axes", np.array([1, 2]))], ["shown.heads"]),
        node("Sub", [one, "shown.heads"], ["hidden.heads"]),
        node("Mul", ["hidden.heads", least], ["padding"]),
        node("Add", ["padding", constant("added", added)], ["mask"]),
        node("Add", ["scores", "mask"], ["masked"]),
        node("Softmax", ["masked"], ["weights"], axis=-1),
        node("MatMul", ["weights", "value"], ["context"]),
        node("Transpose", ["context"], ["context.tokens"], perm=[0, 2, 1, 3]),
        node("Reshape", ["context.tokens", constant("joined", np.array([0, 0, WIDTH]))], ["attended"]),
        node("MatMul", ["attended", drawn("out.weight", WIDTH, WIDTH)], ["out.product"]),
        node("Add", [drawn("out.bias", WIDTH), "out.product"], ["out"]),
        node("Add", ["out", "hidden"], ["sum"]),
        node("LayerNormalization", ["sum", drawn("gamma", WIDTH), drawn("beta", WIDTH)], ["result"], epsilon=1e-12),
    ]
    kinds = onnx.TensorProto
    graph = onnx.helper.make_graph(
        nodes,
        "attention",
        [
            onnx.helper.make_tensor_value_info("hidden", kinds.FLOAT, ["sequences", "tokens", WIDTH]),
            onnx.helper.make_tensor_value_info("attention_mask", kinds.INT64, ["sequences", "tokens"]),
        ],
        [onnx.helper.make_tensor_value_info("result", kinds.FLOAT, ["sequences", "tokens", WIDTH])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=versions, ir_version=8), str(file))
    return file


def _kinds(file: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(file)).graph.node]


def _result(file: Path) -> NDArray[np.float32]:
    """What a graph makes of two sequences; of the shorter one the padding is left out."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    hidden = np.random.default_rng(8).standard_normal((2, TOKENS, WIDTH)).astype(np.float32)
    (rows,) = session.run(None, {"hidden": hidden, "attention_mask": MASK})
    found: NDArray[np.float32] = rows[MASK == 1]
    return found


def test_attention_becomes_one_node_with_the_same_result(tmp_path: Path) -> None:
    """And so does the normalized sum behind it. Padding is hidden as before."""
    before = _graph(tmp_path / "before.onnx")
    assert fuse_attention(before, tmp_path / "after.onnx") == 1
    assert _kinds(tmp_path / "after.onnx") == ["Cast", "Attention", "MatMul", "SkipLayerNormalization"]
    np.testing.assert_allclose(_result(tmp_path / "after.onnx"), _result(before), atol=1e-5)


@pytest.mark.parametrize("added", [CAUSAL, WINDOW, OF_EACH_HEAD], ids=["causal", "window", "of each head"])
def test_attention_with_a_mask_of_another_kind_stays_as_it_is(tmp_path: Path, added: NDArray[np.float32]) -> None:
    """Positions that are hidden from one another or weighted would be lost."""
    before = _graph(tmp_path / "before.onnx", added=added)
    assert fuse_attention(before, tmp_path / "after.onnx") == 0
    assert _kinds(tmp_path / "after.onnx") == _kinds(before)
    np.testing.assert_array_equal(_result(tmp_path / "after.onnx"), _result(before))


def test_attention_of_another_form_stays_as_it_is(tmp_path: Path) -> None:
    """Such as without a bias."""
    before = _graph(tmp_path / "before.onnx", bias=False)
    assert fuse_attention(before, tmp_path / "after.onnx") == 0
    assert _kinds(tmp_path / "after.onnx") == _kinds(before)


@pytest.mark.parametrize("where", ["fuse_attention", "_finish"])
def test_attention_that_cannot_be_gathered_stops_no_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whatever onnx or onnxruntime has against it."""

    def fail(*_: object, **__: object) -> int:
        raise RuntimeError("no such shape")

    _graph(tmp_path / "full.onnx")
    assert job.finish_fused(tmp_path, int8=False) == 1
    assert "Attention" in _kinds(tmp_path / GRAPH)
    monkeypatch.setattr(job, where, fail)
    assert job.finish_fused(tmp_path, int8=False) == 0


def test_a_graph_that_is_finished_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    before = _graph(tmp_path / "full.onnx")
    job.finish_fused(tmp_path, int8=False)
    job._finish(before, tmp_path, int8=False)
    assert "Attention" not in _kinds(tmp_path / GRAPH)
    np.testing.assert_allclose(_result(tmp_path / GRAPH), _result(before), atol=1e-5)
