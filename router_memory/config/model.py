"""The section `global.stores.memory`. Every default of the project stands here and in its sub-sections."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from router_memory.config.headers import header_name
from router_memory.config.reflection import ReflectionSection
from router_memory.config.section import Count, Limit, Section, Share, check_path, problem
from router_memory.config.servers import RedisCacheSection, ValkeySection
from router_memory.config.service import ServiceSection

__all__ = ["FOREIGN_STORES", "HybridMode", "MemorySection"]

FOREIGN_STORES = ("milvus", "qdrant")
"""Sub-sections of stores that only the reference has: left alone like every foreign section."""

HybridMode = Literal["", "rerank", "weighted", "rrf"]


class QualityScoringSection(Section):
    """When the reference would prune. Read, not used."""

    initial_strength_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    prune_threshold: Share = 0.15
    max_memories_per_user: Annotated[int, Field(ge=1, le=10_000_000)] = 200


class EmbeddedSection(Section):
    """The store inside the process: one SQLite file and an index in memory."""

    path: str = ""
    promote_at: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    cache_mb: Annotated[int, Field(ge=1, le=1_048_576)] = 256
    busy_timeout_ms: Annotated[int, Field(ge=0, le=600_000)] = 5000
    synchronous: Literal["full", "normal"] = "full"

    @field_validator("path")
    @classmethod
    def _path(cls, path: str) -> str:
        check_path(path)
        return path


class EmbeddingSection(Section):
    """How the embedding model is run."""

    query_prefix: str = ""
    passage_prefix: str = ""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 16
    batch_wait_ms: Annotated[float, Field(ge=0, le=10)] = 0.5
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    runtime: Literal["auto", "torch", "onnx", "onnx-int8"] = "auto"
    cache_dir: str = ""

    @field_validator("cache_dir")
    @classmethod
    def _cache_dir(cls, path: str) -> str:
        check_path(path)
        return path


class RecallSection(Section):
    """How the adaptive threshold is found."""

    adaptive_rule: Literal["relative", "elbow"] = "relative"


class InjectSection(Section):
    """How memories are put into the messages."""

    role: Literal["system", "developer", "user"] = "system"


class WriteSection(Section):
    """What is remembered of a turn."""

    roles: tuple[Literal["system", "developer", "user", "assistant", "tool"], ...] = ("user", "assistant")
    max_content_bytes: Annotated[int, Field(ge=256, le=1_048_576)] = 16_384
    max_parts: Annotated[int, Field(ge=1, le=1024)] = 16
    importance: Share = 0.5
    history: bool = False
    queue_size: Count = 1024
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 5.0

    @field_validator("roles")
    @classmethod
    def _roles(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        if not roles:
            raise problem("must name at least one role", hint="auto_store: false stores nothing")
        return roles


class IdentitySection(Section):
    """The request headers that say whose memory it is."""

    user_header: str = "x-authz-user-id"
    opt_out_header: str = "x-disable-router-memory"

    @field_validator("*")
    @classmethod
    def _header(cls, name: str) -> str:
        return header_name(name)

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.user_header == self.opt_out_header:
            raise problem("must differ from user_header", key=".opt_out_header")
        return self


class MemorySection(Section):
    """The whole section; keys of our own stand in sub-sections, apart from the deadline."""

    enabled: bool = False
    backend: str = ""
    auto_store: bool = False
    disabled_routes: tuple[str, ...] = ()
    disabled_models: tuple[str, ...] = ()
    embedding_model: str = "bert"
    default_retrieval_limit: Limit = 5
    default_similarity_threshold: Share = 0.70
    hybrid_search: bool = False
    hybrid_mode: HybridMode = ""
    adaptive_threshold: bool = False
    extraction_batch_size: Limit = 10
    quality_scoring: QualityScoringSection = QualityScoringSection()
    reflection: ReflectionSection = ReflectionSection()
    valkey: ValkeySection = ValkeySection()
    redis_cache: RedisCacheSection = RedisCacheSection()
    deadline_ms: Annotated[int, Field(ge=1, le=60_000)] = 150
    embedded: EmbeddedSection = EmbeddedSection()
    embedding: EmbeddingSection = EmbeddingSection()
    recall: RecallSection = RecallSection()
    inject: InjectSection = InjectSection()
    write: WriteSection = WriteSection()
    identity: IdentitySection = IdentitySection()
    service: ServiceSection = ServiceSection()

    @field_validator("disabled_routes", "disabled_models")
    @classmethod
    def _named(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if "" in names:
            raise problem("is empty", key=f"[{names.index('')}]")
        return names

    @field_validator("embedding_model")
    @classmethod
    def _model(cls, name: str) -> str:
        return name or "bert"
