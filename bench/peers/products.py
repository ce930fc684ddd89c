"""What is compared: the products, and the ways in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["FLOOR", "INT8", "NO_SPEAKER", "ON_TORCH", "OURS", "RUNTIME", "SHIPPED", "TOLD", "Product"]


@dataclass(frozen=True, slots=True)
class Product:
    """One row.

    Attributes:
        name: Of the row.
        driver: Module in `bench.peers.drivers`.
        environment: Of the requirements file, or `OURS` for that of the checkout.
        stored: What a memory is, besides its content.
        path: Which of its calls fill it; empty for what stores nothing.
        server: Whether it needs a Valkey server of its own.
        options: For the driver.
    """

    name: str
    driver: str
    environment: str
    path: str
    stored: str = "content"
    server: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is router-memory, in whichever form."""
        return self.environment == OURS


OURS = "router-memory"
INT8, NO_SPEAKER, ON_TORCH = f"{OURS}, onnx-int8", f"{OURS}, no speaker", f"{OURS}, torch"
_SPEAKER = "content, the speaker's name in its own field"
_REMEMBER = "remember(), a session at a time"

FLOOR = Product("bare embedding", "floor", OURS, path="")
"""sentence-transformers over torch, and nothing stored or searched."""

_PEERS = (
    Product("mem0", "mem0", "mem0", path="add(infer=False), one by one"),
    Product("LangGraph InMemoryStore", "langgraph", "langgraph", path="batch() of PutOp, no text twice in one"),
    Product("Chroma", "chroma", "chroma", path="collection.add() of many"),
    Product("LanceDB", "lancedb", "lancedb", path="table.add() of many, then optimize()"),
    Product("reference on Valkey HNSW", "reference", "reference", path="HSETNX and HSET, one by one", server=True),
)
_DEFAULT = Product(OURS, "router_memory", OURS, path=_REMEMBER, stored=_SPEAKER)

SHIPPED = (
    _DEFAULT,
    Product(NO_SPEAKER, "router_memory", OURS, path=_REMEMBER, options={"speaker": "no"}),
    Product(INT8, "router_memory", OURS, _REMEMBER, _SPEAKER, options={"runtime": "onnx-int8"}),
    Product(ON_TORCH, "router_memory", OURS, _REMEMBER, _SPEAKER, options={"runtime": "torch"}),
    Product(f"{OURS} on Valkey", "router_memory", OURS, path=_REMEMBER, stored=_SPEAKER, server=True),
    *_PEERS,
)
"""Each with the embedding it brings."""

RUNTIME = (
    _DEFAULT,
    *(
        Product(peer.name, peer.driver, peer.environment, peer.path, server=peer.server, options={"embedder": "ours"})
        for peer in _PEERS
    ),
)
"""Each with our ONNX embedder."""

TOLD = (
    _DEFAULT,
    *(
        Product(
            f"{peer.name} (speaker in the text)",
            peer.driver,
            peer.environment,
            peer.path,
            "the speaker's name and the content as one text",
            server=peer.server,
            options={"speaker": "in the text"},
        )
        for peer in _PEERS
    ),
)
"""Each told who speaks: ours in its field, the others in the text, as people do who have no field."""
