"""Whether an export computes what sentence-transformers does, on texts that stay the same."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from router_memory.backends.bert.runtimes import INT8

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from router_memory.backends.bert.encoder import Encoder
    from router_memory.backends.bert.splitting import Part

__all__ = [
    "FIXED_TEXTS",
    "LEAST_COSINE",
    "LEAST_COSINE_INT8",
    "LEAST_MEAN_INT8",
    "Verification",
    "compare",
    "fixed_parts",
    "machine",
]

LEAST_COSINE = 0.99999
"""Of every text, for a graph in full precision."""
LEAST_MEAN_INT8, LEAST_COSINE_INT8 = 0.99, 0.96
"""In the mean of all texts, and of every one, for an int8 graph. The nearly empty ones are farthest off."""

FIXED_TEXTS = (
    "What did we say about the trip last summer?",
    "hello",
    "Which seat do I take on planes?",
    "when is mum's birthday again",
    "Where does Oliver sleep when we are away?",
    "The meeting with Dr. O'Neill moved from Tuesday to Thursday at 3:45 p.m.; she prefers the small room upstairs.",
    "I'm allergic to peanuts, and my sister Mara can't stand coriander.",
    "We adopted a second cat in March, a grey one, and the children named him Pepper.",
    "Please keep answers short and give distances in kilometres, not miles.",
    "Yesterday I finally finished the marathon! Four hours and twelve minutes, and my knee held out the whole way.",
    "The staging database runs PostgreSQL 15 on db-7; nobody may restart it during business hours.",
    "Thanks, that worked. Next time remind me to renew the certificate two weeks before it expires.",
    "My manager's name is Priyanka and she is based in Toronto, so her mornings are our afternoons.",
    "MY NEW PHONE NUMBER ENDS IN 4471",
    "Wir ziehen im Oktober nach Lübeck, weil Jörg dort eine Stelle an der Universität bekommen hat.",
    "¿Dónde compraste la bicicleta que le regalaste a tu sobrino el año pasado?",
    "Le médecin m'a conseillé de marcher une demi-heure chaque jour.",
    "На выходных мы с бабушкой пекли яблочный пирог.",
    "我们下个月要去杭州看望我的老师。",
    "来週の金曜日は在宅勤務なので、会議はオンラインでお願いします。",
    "هل يمكنك أن تذكرني بموعد طبيب الأسنان يوم الأحد؟",
    "मुझे सुबह चाय के साथ अख़बार पढ़ना पसंद है।",
    "def total(prices: list[float]) -> float:\n    return round(sum(prices) * 1.19, 2)\n",
    "https://example.org/orders?id=8271&sort=desc",
    "🎉🎂 so happy for you!! ❤️",
    " \n\t",
    "...",
    "- milk\n- two dozen eggs\n- flour (the coarse kind)\n\nand call the landlord before Friday, mornings only",
)
"""Short, ordinary, in several scripts, and nearly empty; `fixed_parts` adds long ones."""

_LONGEST = 1_024
"""Tokens up to which the longest text goes: beyond, a check takes minutes."""
_BATCH = 4
_CPU_INFO = Path("/proc/cpuinfo")


def fixed_parts(encoder: Encoder) -> list[Part]:
    """What is encoded for a verification: the texts as queries, as passages where that differs, and long ones."""
    parts = [part for text in FIXED_TEXTS for part in encoder.split_query(text)]
    parts += [part for text in FIXED_TEXTS for part in encoder.split_passage(text) if part not in parts]
    most = min(encoder.max_tokens, _LONGEST)
    return [*parts, _of_about(encoder, most // 4), _of_about(encoder, most)]


def _of_about(encoder: Encoder, tokens: int) -> Part:
    """A text nearly as long as so many tokens: as many sentences as fit."""
    text, fitting = "", encoder.split_passage("")[0]
    for day in range(1, tokens):
        text += f"On day {day} of the walk it rained for {day % 7} hours. "
        parts = encoder.split_passage(text)
        if len(parts) > 1 or parts[0].tokens > tokens:
            break
        fitting = parts[0]
    return fitting


@dataclass(frozen=True, slots=True)
class Verification:
    """How near an export's vectors are to the true ones.

    Attributes:
        runtime: ``onnx`` or ``onnx-int8``.
        cosines: Of each text of `fixed_parts`. Shape (texts,), float64.
    """

    runtime: str
    cosines: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Of the cosines."""
        return float(self.cosines.mean())

    @property
    def least(self) -> float:
        """Of the cosines."""
        return float(self.cosines.min())

    @property
    def demand(self) -> str:
        """What is demanded, as a sentence for people has it."""
        if self.runtime == INT8:
            return f"≥ {LEAST_MEAN_INT8} in the mean and ≥ {LEAST_COSINE_INT8} each"
        return f"≥ {LEAST_COSINE} each"

    @property
    def passed(self) -> bool:
        """Whether the export may be used; a cosine that is no number never passes."""
        if self.runtime == INT8:
            return self.mean >= LEAST_MEAN_INT8 and self.least >= LEAST_COSINE_INT8
        return self.least >= LEAST_COSINE


def compare(encoder: Encoder, parts: Sequence[Part], truth: NDArray[np.float32]) -> Verification:
    """Encodes parts in small batches of mixed lengths.

    Args:
        encoder: What is verified.
        parts: At least one.
        truth: Their true vectors. Shape (parts, dimension), unit rows.

    Raises:
        EmbeddingError: A vector has no direction.
    """
    rows = [encoder.encode(parts[start : start + _BATCH]) for start in range(0, len(parts), _BATCH)]
    products = np.concatenate(rows).astype(np.float64) * truth.astype(np.float64)
    return Verification(encoder.runtime, products.sum(axis=1))


def machine() -> str:
    """What a verification holds for: onnxruntime's version, and the instructions this processor has."""
    import onnxruntime

    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = [platform.processor()]
    flags = next(
        (line for line in lines if line.partition(":")[0].strip() in ("flags", "Features")), "".join(lines[:1])
    )
    digest = hashlib.sha256(flags.encode()).hexdigest()[:16]
    return f"{onnxruntime.__version__}/{platform.machine()}/{digest}"
