"""Exports a model, as a process of its own: ``python -m router_memory.backends.bert.onnx.job JOB``.

torch and its exporter take half a gigabyte, warn through the whole process, and could end it. None of that is to
happen to a gateway. `exports` starts this and verifies what it leaves.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from router_memory.backends.bert.onnx.encoder import quiet_onnxruntime
from router_memory.backends.bert.onnx.expressible import check_module
from router_memory.backends.bert.onnx.fusing import fuse_attention
from router_memory.backends.bert.onnx.manifest import GRAPH, REFERENCE, TOKENIZER, WEIGHTS, Facts
from router_memory.backends.bert.onnx.verification import fixed_parts
from router_memory.backends.bert.processes import end_with_parent
from router_memory.backends.bert.torch_encoder import TorchEncoder, load_torch
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MADE", "Job", "Made", "finish_fused", "main"]

MADE = "made.json"
"""What the process leaves beside the files of an export: a `Made`, or ``{"error": …, "hint": …}``."""
_FULL_GRAPH, _OPTIMIZED_GRAPH, _FUSED_GRAPH, _SMALL_GRAPH = "full.onnx", "optimized.onnx", "fused.onnx", "small.onnx"
_OPSET = 17
_FLOAT = 1  # onnx.TensorProto.FLOAT
_EXTERNAL = "session.optimized_model_external_initializers"
_LEAST_EXTERNAL_BYTES = 1_024
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_LIBRARIES = ("sentence-transformers", "transformers", "torch", "onnx", "onnxruntime")
_EXAMPLES = ["hello", "What did we say about the trip last summer, and to whom?"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be exported.

    Attributes:
        directory: The model.
        target: An empty folder for `GRAPH`, `WEIGHTS`, `TOKENIZER`, `REFERENCE` and `MADE`.
        int8: Whether weights are quantized.
        query_prefix: As in `Source`.
        passage_prefix: As in `Source`.
        threads: As in `Source`.
        fuse: Whether attention is gathered, see `fuse_attention`.
    """

    directory: str
    target: str
    int8: bool
    query_prefix: str
    passage_prefix: str
    threads: int
    fuse: bool = True


@dataclass(frozen=True, slots=True)
class Made:
    """What is known of a finished export.

    Attributes:
        facts: What an encoder has to know.
        tokens: How many tokens each of `fixed_parts` has.
        made_with: Versions of the libraries.
        fused: How many attentions were gathered.
    """

    facts: Facts
    tokens: tuple[int, ...]
    made_with: dict[str, str]
    fused: int = 0


def main(arguments: Sequence[str]) -> int:
    """Does the job in the first argument, which is JSON. Returns the exit code."""
    job = Job(**json.loads(arguments[0]))
    target = Path(job.target)
    try:
        left: dict[str, Any] = asdict(_run(job, target))
    except EmbeddingError as error:
        left = {"error": error.message, "hint": error.hint}
    (target / MADE).write_text(json.dumps(left), encoding="utf-8")
    return 0


def _run(job: Job, target: Path) -> Made:
    encoder = load_torch(
        Path(job.directory), query_prefix=job.query_prefix, passage_prefix=job.passage_prefix, threads=job.threads
    )
    for module in encoder.model:
        check_module(type(module).__module__, type(module).__name__)
    facts = _export_graph(encoder, target / _FULL_GRAPH)
    fused = finish_fused(target, int8=job.int8) if job.fuse else 0
    if not fused:
        _finish(target / _FULL_GRAPH, target, int8=job.int8)
    for made in (_FULL_GRAPH, _OPTIMIZED_GRAPH, _FUSED_GRAPH, _SMALL_GRAPH):
        (target / made).unlink(missing_ok=True)
    _write_tokenizer(encoder, target / TOKENIZER)
    parts = fixed_parts(encoder)
    truth = np.concatenate([encoder.encode([part]) for part in parts])
    np.save(target / REFERENCE, truth, allow_pickle=False)
    versions = {name: version(name) for name in _LIBRARIES}
    return Made(facts, tuple(part.tokens for part in parts), versions, fused)


def finish_fused(target: Path, *, int8: bool) -> int:
    """Makes `GRAPH` of the full graph with attention gathered, which is worth no export that fails.

    Args:
        target: As in `Job`.
        int8: As in `Job`.

    Returns:
        How many attentions were gathered; 0 where none could be, and `GRAPH` is still to be made.
    """
    try:
        _optimize(target / _FULL_GRAPH, target / _OPTIMIZED_GRAPH)
        fused = fuse_attention(target / _OPTIMIZED_GRAPH, target / _FUSED_GRAPH)
        if fused:
            _finish(target / _FUSED_GRAPH, target, int8=int8)
    except Exception as error:  # noqa: BLE001 - of onnx and onnxruntime, of many kinds, some of no public class
        sys.stderr.write(f"attention is not gathered: {type(error).__name__}: {error}\n")
        return 0
    return fused


def _finish(graph: Path, target: Path, *, int8: bool) -> None:
    """Makes `GRAPH` and `WEIGHTS`, in place of those that are there."""
    for made in (GRAPH, WEIGHTS):
        (target / made).unlink(missing_ok=True)
    if int8:
        small = target / _SMALL_GRAPH
        _quantize(graph, small)
        graph = small
    _optimize(graph, target / GRAPH, weights=WEIGHTS)


def _export_graph(encoder: TorchEncoder, file: Path) -> Facts:
    """Writes transformer, pooling and what follows, cut to the dimension and normalised, as one graph."""
    import torch

    features = encoder.features(_EXAMPLES)
    names = [name for name in _INPUTS if name in features]
    unknown = [name for name, value in features.items() if torch.is_tensor(value) and name not in names]
    if unknown:
        raise EmbeddingError(
            f"the embedding model reads {', '.join(unknown)}, which is not exported",
            hint="set embedding.runtime: torch",
        )

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = encoder.model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            vectors = self.model(dict(zip(names, inputs, strict=True)))["sentence_embedding"]
            return torch.nn.functional.normalize(vectors[:, : encoder.dimension].to(torch.float32), p=2.0, dim=1)

    both, output = {0: "sequences", 1: "tokens"}, "embeddings"
    with torch.inference_mode():
        torch.onnx.export(
            Graph().eval(),
            tuple(features[name] for name in names),
            str(file),
            input_names=names,
            output_names=[output],
            dynamic_axes={**dict.fromkeys(names, both), output: {0: "sequences"}},
            opset_version=_OPSET,
            dynamo=False,
        )
    tokenizer = encoder.model.tokenizer
    return Facts(
        inputs=tuple(names),
        reading=encoder.reading,
        pad_id=int(tokenizer.pad_token_id or 0),
        pad_type_id=int(getattr(tokenizer, "pad_token_type_id", 0)),
        pad_left=tokenizer.padding_side == "left",
    )


def _quantize(graph: Path, into: Path) -> None:
    """Weights to int8 with a scale for each output channel; one scale for a whole matrix would lose recall."""
    quiet_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It knows no types behind nodes of onnxruntime's own, which `fuse_attention` puts in.
    assumed = {"DefaultTensorType": _FLOAT}
    quantize_dynamic(str(graph), str(into), weight_type=QuantType.QInt8, per_channel=True, extra_options=assumed)


def _optimize(graph: Path, into: Path, *, weights: str = "") -> None:
    """Does beforehand what loading would do each time, as far as it is the same on every processor.

    Args:
        graph: What is read.
        into: What is written.
        weights: File beside `into` for the weights; without one they are in the graph. A file of their own is mapped
            where the graph is loaded: none of it is parsed or copied, the rows of the table of words are read as texts
            need them, and processes share it. A third of the time of a load, and half of what the model takes.
    """
    onnxruntime = quiet_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(into)
    options.log_severity_level = 3
    if weights:
        options.add_session_config_entry(f"{_EXTERNAL}_file_name", weights)
        options.add_session_config_entry(f"{_EXTERNAL}_min_size_in_bytes", str(_LEAST_EXTERNAL_BYTES))
        (into.parent / weights).touch()  # none is written where all are smaller
    onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _write_tokenizer(encoder: TorchEncoder, file: Path) -> None:
    """As sentence-transformers has set it up, which may differ from the model's own file."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(encoder.model.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(file))


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(sys.argv[1:]))
