"""Whole files: those that are shipped, and one a router of the reference would read."""

from __future__ import annotations

from pathlib import Path

import pytest

from router_memory.types import CutoffRule, RankingMode
from tests.unit.config.support import MEMORY, load, refused, written

SHIPPED = Path(__file__).parents[3] / "config"

ROUTER = """
version: v0.3
started: 2026-13-45          # no date: foreign sections are not ours to judge
listeners:
  - {name: http, address: 0.0.0.0, port: "8801"}
providers:
  models:
    - name: small
      access_key: !vault secret/small
routing:
  modelCards: [{name: small, modality: text}]
  signals:
    keywords: [{name: invoice, operator: OR, keywords: [invoice, refund]}]
  decisions:
    - name: billing
      priority: 200
      rules: {operator: OR, conditions: [{type: keyword, name: invoice}]}
      modelRefs: [{model: small, use_reasoning: false}]
      plugins:
        - type: system_prompt
          configuration: {system_prompt: "Answer ${user_content}.", mode: insert}
        - type: memory
          configuration:
            enabled: true
            retrieval_limit: 3
            similarity_threshold: 0.99
            auto_store: true
            hybrid_search: true
            hybrid_mode: rrf
            reflection: {max_inject_tokens: 256}
    - name: default
      priority: 1
      modelRefs: [{model: small}]
      plugins: [{type: rag, configuration: {enabled: true, limit: many}}]
global:
  services: {response_api: {enabled: true, store_backend: memory, ttl_seconds: 86400}}
  stores:
    response_cache: {enabled: true, backend_type: memory, similarity_threshold: 7}
    vector_store: {memory: {max_entries_per_store: 5000}}
    memory:
      enabled: true
      backend: BACKEND
      auto_store: true
      disabled_routes: []
      disabled_models: [small-vision]
      milvus: {address: "${MILVUS}", collection: agentic_memory, dimension: 384, num_partitions: 32}
      qdrant: {host: qdrant, port: 6334, whatever: true}
      valkey:
        host: valkey
        port: 6379
        database: 0
        password: "${VALKEY_PASSWORD:-}"
        timeout: 10
        collection_prefix: "mem:"
        index_name: mem_idx
        dimension: 384
        metric_type: COSINE
        index_m: 16
        index_ef_construction: 200
        tls_enabled: false
        tls_ca_path: ""
        tls_insecure_skip_verify: false
      redis_cache:
        {enabled: false, address: "localhost:6379", ttl_seconds: 900, db: 1, key_prefix: "memory_cache:", password: ""}
      embedding_model: bert
      extraction_batch_size: 16
      default_retrieval_limit: 10
      default_similarity_threshold: 0.74
      hybrid_search: true
      hybrid_mode: rerank
      adaptive_threshold: true
      quality_scoring: {initial_strength_days: 30, prune_threshold: 0.15, max_memories_per_user: 200}
      reflection:
        enabled: true
        algorithm: recency_semantic
        max_inject_tokens: 512
        recency_decay_days: 14
        dedup_threshold: 0.9
        block_patterns: [api key, password]
  model_catalog: {embeddings: {semantic: {bert_model_path: "", use_cpu: true}}}
"""


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.y*ml")), ids=lambda path: path.name)
def test_a_shipped_file_loads_without_a_warning(path: Path) -> None:
    assert load(path).warnings == ()


def test_the_default_configuration_is_hybrid_and_adaptive_and_stores() -> None:
    config = load(SHIPPED / "config.yaml")
    found = config.policy()
    assert (found.enabled, found.auto_store) == (True, True)
    assert (found.recall.mode, found.recall.cutoff) == (RankingMode.RERANK, CutoffRule.RELATIVE)
    assert config.data_path == Path("/home/somebody/.local/share/router-memory/memory.db")


def test_the_example_of_the_cache_has_both_levels() -> None:
    both = load(SHIPPED / "cache.yaml", CACHE_ADDRESS="cache:6379").memory.redis_cache
    assert (both.enabled, both.server, both.db, both.coherence) == (True, ("cache", 6379), 1, "strict")
    assert both.local_mb


def test_the_example_of_the_cache_may_use_the_server_of_the_store() -> None:
    config = load(SHIPPED / "cache.yaml", VALKEY_HOST="db", CACHE_ADDRESS="db:6379")
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("name", "enabled", "limit", "threshold"),
    [("personalized_route", True, 10, 0.60), ("strict_route", True, 3, 0.68), ("no_memory_route", False, 5, 0.70)],
)
def test_the_decisions_of_the_default_configuration(name: str, enabled: bool, limit: int, threshold: float) -> None:
    config = load(SHIPPED / "config.yaml")
    found = config.policy(name)
    assert config.knows(name)
    assert (found.enabled, found.auto_store) == (enabled, enabled)
    assert (found.recall.limit, found.recall.threshold) == (limit, threshold)


def test_a_file_of_the_reference_loads(tmp_path: Path) -> None:
    config = load(written(tmp_path, ROUTER.replace("BACKEND", "embedded")))
    assert config.decisions == ("billing", "default")
    assert config.policy("billing").recall.mode is RankingMode.RRF
    assert config.policy("billing").recall.limit == 3
    assert config.policy("billing").reflection.max_inject_tokens == 256
    assert config.policy("billing").reflection.recency_decay_days == 14
    assert config.policy("default").recall.threshold == 0.74
    assert [pattern.pattern for pattern in config.policy().reflection.block_patterns] == ["api key", "password"]
    assert config.memory.redis_cache.ttl_seconds == 900


def test_a_file_of_the_reference_on_valkey_loads(tmp_path: Path) -> None:
    """Its `backend: valkey` is ours."""
    config = load(written(tmp_path, ROUTER.replace("BACKEND", "valkey")))
    assert config.backend == "valkey"
    assert config.memory.valkey.servers == (("valkey", 6379),)


def test_a_file_of_the_reference_says_what_has_no_effect(tmp_path: Path) -> None:
    found = load(written(tmp_path, ROUTER.replace("BACKEND", "embedded"))).warnings
    assert [text.split(": ")[0] for text in found] == [f"{MEMORY}.quality_scoring", f"{MEMORY}.extraction_batch_size"]


@pytest.mark.parametrize("backend", ["milvus", "qdrant"])
def test_a_file_of_the_reference_must_name_a_backend_that_exists(tmp_path: Path, backend: str) -> None:
    assert refused(written(tmp_path, ROUTER.replace("BACKEND", backend))).key_path == f"{MEMORY}.backend"
