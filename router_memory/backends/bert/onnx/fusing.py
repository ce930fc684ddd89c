"""Gathers the many small nodes of an exported transformer into the few that onnxruntime has kernels for.

onnxruntime's own optimizers know attention as older exporters wrote it. What today's write stays three hundred nodes,
most of which compute shapes; with attention in one node a layer MiniLM is 72, which takes an int8 pass over a short
text from 1.1 ms to .7 ms. What is not recognised stays as it is, and whatever comes out is verified against the
model's own vectors.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["fuse_attention"]

_DOMAIN = "com.microsoft"
_MASK = "attention_mask"
_KEY_MASK = "router_memory_key_mask"
_MASKED = -3.4e38  # about the least float32, as good as -inf in a softmax
_LARGEST = 1_500_000_000
"""Bytes of a graph that is rewritten: a file of the format ends at 2 GiB."""
_PROBE_TOKENS = 200
"""Of the sequences a mask is tried on: more than the usual window of attention that sees its neighbourhood alone."""
_SPLIT_HEADS, _SPLIT_HEADS_TRANSPOSED = [0, 2, 1, 3], [0, 2, 3, 1]


def fuse_attention(graph: Path, into: Path) -> int:
    """Writes a graph with attention and its residual sums as single nodes.

    Args:
        graph: As onnxruntime's extended optimization leaves it.
        into: Where to write it; the same graph where nothing is recognised.

    Returns:
        How many attentions were recognised.
    """
    if graph.stat().st_size > _LARGEST:
        into.write_bytes(graph.read_bytes())
        return 0
    import onnx  # which only an export needs

    model = onnx.load(str(graph))
    links = _Links(model)
    found = [each for node in model.graph.node if (each := _attention(links, node)) is not None]
    masks = {each.mask: _is_key_mask(model, each.mask) for each in found}
    fused = [each for each in found if masks[each.mask]]
    if fused:
        _replace_attention(model, fused)
        _fuse_sums(model)
    onnx.save(model, str(into))
    return len(fused)


class _Links:
    """Who makes and who reads each value of a graph."""

    def __init__(self, model: Any) -> None:
        self.constants = {one.name: one for one in model.graph.initializer}
        self.maker = {name: node for node in model.graph.node for name in node.output}
        self._readers: dict[str, list[Any]] = defaultdict(list)
        for node in model.graph.node:
            for name in node.input:
                self._readers[name].append(node)

    def made_by(self, name: str, *kinds: str) -> Any | None:
        """The node that makes a value, if it is one of those kinds."""
        node = self.maker.get(name)
        return node if node is not None and node.op_type in kinds else None

    def readers(self, name: str) -> list[Any]:
        """Who computes with a value; its shape alone does not count."""
        return [node for node in self._readers[name] if node.op_type != "Shape"]

    def array(self, name: str) -> NDArray[Any]:
        """A constant."""
        from onnx import numpy_helper

        found: NDArray[Any] = numpy_helper.to_array(self.constants[name])
        return found

    def constant_and_other(self, node: Any) -> tuple[str, str] | None:
        """The two inputs of a sum, if just one of them is a constant of one dimension."""
        names = [name for name in node.input if name in self.constants and len(self.constants[name].dims) == 1]
        others = [name for name in node.input if name not in self.constants]
        return (names[0], others[0]) if len(names) == len(others) == 1 else None


@dataclass(frozen=True, slots=True)
class _Projection:
    """Queries, keys or values of all heads: ``source @ weight + bias``, divided into heads and transposed."""

    source: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    head: int
    order: list[int]


@dataclass(frozen=True, slots=True)
class _Attention:
    """One attention: from its `source` and `mask` to its `result`; `node` is its softmax."""

    node: str
    source: str
    mask: str
    result: str
    projections: tuple[_Projection, ...]
    scale: float


def _attention(links: _Links, softmax: Any) -> _Attention | None:
    """What stands around a softmax, if it is an attention of the plain kind."""
    masked = links.made_by(softmax.input[0], "Add") if softmax.op_type == "Softmax" else None
    scores = links.made_by(masked.input[0], "FusedMatMul", "MatMul") if masked is not None else None
    if masked is None or scores is None or any(_attribute(scores, f"trans{side}") for side in "AB"):
        return None
    weights = softmax.output[0]
    # Rows of nothing but masked tokens are no numbers; exporters replace them, and there are none here.
    guard = next((node for node in links.readers(weights) if node.op_type == "Where"), None)
    readers = links.readers(weights if guard is None else guard.output[0])
    if len(readers) != 1 or readers[0].op_type != "MatMul":
        return None
    parts = [_projection(links, name) for name in (*scores.input, readers[0].input[1])]
    query, key, value = parts
    if query is None or key is None or value is None:
        return None
    same = len({(one.source, one.head, one.weight.shape) for one in (query, key, value)}) == 1
    if not same or [query.order, key.order, value.order] != [_SPLIT_HEADS, _SPLIT_HEADS_TRANSPOSED, _SPLIT_HEADS]:
        return None
    result = readers[0].output[0]
    while len(after := links.readers(result)) == 1 and after[0].op_type in ("Reshape", "Transpose"):
        result = after[0].output[0]
    scale = float(_attribute(scores, "alpha") or 1.0)
    return _Attention(softmax.output[0], query.source, masked.input[1], result, (query, key, value), scale)


def _projection(links: _Links, name: str) -> _Projection | None:
    transposed = links.made_by(name, "Transpose")
    shaped = links.made_by(transposed.input[0], "Reshape") if transposed is not None else None
    total = links.made_by(shaped.input[0], "Add") if shaped is not None else None
    if transposed is None or shaped is None or total is None or (names := links.constant_and_other(total)) is None:
        return None
    head = _last_dimension(links, shaped.input[1])
    product = links.made_by(names[1], "MatMul")
    if product is None or head is None or product.input[1] not in links.constants:
        return None
    weight, bias = links.array(product.input[1]), links.array(names[0])
    if weight.dtype != np.float32 or weight.shape[1] % head:
        return None
    return _Projection(product.input[0], weight, bias, head, list(_attribute(transposed, "perm")))


def _last_dimension(links: _Links, shape: str) -> int | None:
    """What a shape ends with, if that is a constant."""
    joined = links.made_by(shape, "Concat")
    name = joined.input[-1] if joined is not None else shape
    return int(links.array(name)[-1]) if name in links.constants else None


def _attribute(node: Any, name: str) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), None)


def _is_key_mask(model: Any, mask: str) -> bool:
    """Whether what is added to the scores hides padding and does nothing else. Found by computing it."""
    import onnx
    import onnxruntime

    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.output[:]
    part.graph.output.append(onnx.helper.make_tensor_value_info(mask, onnx.TensorProto.FLOAT, None))
    _keep_needed(part, part.graph.node)
    needed = {name for node in part.graph.node for name in node.input}
    inputs = [one for one in part.graph.input if one.name in needed]
    of_tokens = all(one.type.tensor_type.elem_type == onnx.TensorProto.INT64 for one in inputs)
    if not of_tokens or _MASK not in needed:
        return False
    del part.graph.input[:]
    part.graph.input.extend(inputs)
    shown = np.ones((2, _PROBE_TOKENS), dtype=np.int64)
    shown[1, _PROBE_TOKENS // 2 :] = 0
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {one.name: shown for one in inputs})
    try:
        added = np.broadcast_to(found, (2, 1, _PROBE_TOKENS, _PROBE_TOKENS))
    except ValueError:  # a mask of its own for each head
        return False
    visible = np.broadcast_to(shown[:, None, None, :] == 1, added.shape)
    return bool(np.all(added[visible] == 0.0) and np.all(added[~visible] < -1e9))


def _replace_attention(model: Any, fused: list[_Attention]) -> None:
    from onnx import TensorProto, helper, numpy_helper

    nodes = {}
    for number, one in enumerate(fused):
        weight, bias = f"router_memory_weight_{number}", f"router_memory_bias_{number}"
        matrices = np.concatenate([part.weight for part in one.projections], axis=1)
        model.graph.initializer.append(numpy_helper.from_array(matrices, weight))
        joined = np.concatenate([part.bias for part in one.projections])
        model.graph.initializer.append(numpy_helper.from_array(joined, bias))
        nodes[one.node] = helper.make_node(
            "Attention",
            [one.source, weight, bias, _KEY_MASK],
            [one.result],
            name=f"router_memory_attention_{number}",
            domain=_DOMAIN,
            num_heads=one.projections[0].weight.shape[1] // one.projections[0].head,
            scale=one.scale,
            mask_filter_value=_MASKED,
        )
    results = {one.result for one in fused}
    cast = helper.make_node("Cast", [_MASK], [_KEY_MASK], name=_KEY_MASK, to=TensorProto.INT32)
    rest = [nodes.get(node.output[0], node) for node in model.graph.node if not results.intersection(node.output)]
    _keep_needed(model, [cast, *rest])


def _fuse_sums(model: Any) -> None:
    """``LayerNormalization(x + bias + skipped)`` becomes one node."""
    from onnx import helper

    links, nodes = _Links(model), []
    for node in model.graph.node:
        found = _sum(links, node) if node.op_type == "LayerNormalization" else None
        if found is not None:
            node = helper.make_node(
                "SkipLayerNormalization",
                [found[0], found[1], node.input[1], node.input[2], found[2]],
                [node.output[0]],
                name=node.name,
                domain=_DOMAIN,
                epsilon=_attribute(node, "epsilon"),
            )
        nodes.append(node)
    _keep_needed(model, nodes)


def _sum(links: _Links, normalization: Any) -> tuple[str, str, str] | None:
    """What a normalization is of: a value, the one it skips to, and a bias."""
    total = links.made_by(normalization.input[0], "Add")
    if total is None or len(links.readers(total.output[0])) != 1 or len(normalization.input) != 3:
        return None
    if _attribute(normalization, "axis") not in (None, -1):
        return None
    for name, skipped in (total.input, reversed(total.input)):
        biased = links.made_by(name, "Add")
        names = links.constant_and_other(biased) if biased is not None and len(links.readers(name)) == 1 else None
        if names is not None and skipped not in links.constants:
            return names[1], skipped, names[0]
    return None


def _keep_needed(model: Any, nodes: Iterable[Any]) -> None:
    """Gives a graph these nodes, in their order, without those that no output needs, and its constants likewise."""
    needed, kept = {one.name for one in model.graph.output}, []
    for node in reversed(list(nodes)):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(type(node).FromString(node.SerializeToString()))
    constants = [type(one).FromString(one.SerializeToString()) for one in model.graph.initializer if one.name in needed]
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(reversed(kept))
    model.graph.initializer.extend(constants)
