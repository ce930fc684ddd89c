"""Every metric of the service: its name, its labels, its buckets. No label holds anything that users choose."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from router_memory import __version__
from router_memory.telemetry.registry import Registry
from router_memory.types import WriteStatus

if TYPE_CHECKING:
    from prometheus_client import Counter

    from router_memory.telemetry.registry import Family

__all__ = ["STAGES", "Metrics", "event_counter"]

_LATENCY = (50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0)
"""From an answer out of the process to the longest anybody waits for memory."""
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""What a model's answer takes."""
_RESULTS = (0, 1, 2, 3, 5, 10, 20, 50, 100)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

STAGES = ("statistics", "cache", "joined", "embed", "candidates", "rank", "select", "inject")


def event_counter(registry: Registry) -> Family[Counter]:
    """Counts the events of a timeline by kind."""
    return registry.counter("llm_memory_events_total", "Events of the timeline.", "kind")


class Metrics:
    """The metrics, made in a registry.

    The first seven are those of vLLM Semantic Router by name, labels and the values of `status`.
    """

    def __init__(self, registry: Registry) -> None:
        counter, histogram, gauge = registry.counter, registry.histogram, registry.gauge
        self.retrieval_latency = histogram(
            "llm_memory_retrieval_latency_seconds",
            "Time to find memories: retrieve for a chat request, search for the memory API.",
            "backend",
            "operation",
            buckets=_LATENCY,
        )
        self.retrieval = counter(
            "llm_memory_retrieval_total", "Searches that found something, nothing, or failed.", "backend", "status"
        )
        self.retrieval_results = histogram(
            "llm_memory_retrieval_results", "Memories given for one question.", "backend", buckets=_RESULTS
        )
        self.store_operations = counter(
            "llm_memory_store_operations_total", "Writes to and reads from the store.", "backend", "operation", "status"
        )
        self.cache_hits = counter("llm_memory_cache_hits_total", "Questions that the hot cache answered.")
        self.cache_misses = counter("llm_memory_cache_misses_total", "Questions that the hot cache did not answer.")
        self.cache_latency = histogram(
            "llm_memory_cache_latency_seconds", "Time to answer a question from the hot cache.", buckets=_LATENCY
        )
        self.requests = counter(
            "llm_memory_requests_total",
            "Chat requests by what memory did.",
            "interface",
            "decision",
            "status",
            "reason",
        )
        self.request_seconds = histogram(
            "llm_memory_request_seconds", "Time that memory added to a request.", "decision", buckets=_LATENCY
        )
        self.stage_seconds = histogram(
            "llm_memory_stage_seconds", "Time of each stage of a request.", "stage", buckets=_LATENCY
        )
        self.injected_tokens = histogram(
            "llm_memory_injected_tokens", "Size of what was injected, in estimated tokens.", buckets=_TOKENS
        )
        self.writes = counter("llm_memory_writes_total", "Messages handed over to be stored, by their end.", "status")
        self.queue = gauge("llm_memory_write_queue_turns", "Turns accepted and not yet written.")
        self.operation_seconds = histogram(
            "llm_memory_operation_seconds",
            "Time of the operations of the memory API and MCP.",
            "operation",
            "status",
            buckets=_LATENCY,
        )
        self.cache_answers = counter(
            "llm_memory_cache_answers_total", "Questions by the level of the hot cache that answered.", "level"
        )
        self.cache_events = counter("llm_memory_cache_events_total", "What happened in the hot cache.", "event")
        self.cache_entries = gauge("llm_memory_cache_entries", "What level 1 of the hot cache holds.", "kind")
        self.cache_bytes = gauge("llm_memory_cache_bytes", "What level 1 of the hot cache takes, estimated.")
        self.cache_breaker = gauge(
            "llm_memory_cache_breaker_open", "Workers that keep level 2 of the hot cache off the path."
        )
        self.backlog = gauge(
            "llm_memory_embedder_backlog_seconds", "How long a question would wait to be embedded.", mode="livemax"
        )
        self.store_away = gauge("llm_memory_store_away", "Workers whose latest attempt found the store away.")
        self.http_requests = counter(
            "llm_memory_http_requests_total", "Requests answered.", "route", "method", "status"
        )
        self.http_seconds = histogram(
            "llm_memory_http_request_seconds", "Time from request to the end of its answer.", "route", buckets=_SLOW
        )
        self.in_flight = gauge("llm_memory_http_requests_in_flight", "Requests being answered.")
        self.upstream = counter("llm_memory_upstream_requests_total", "Calls of the upstream by their end.", "status")
        self.upstream_seconds = histogram(
            "llm_memory_upstream_seconds", "Time to the last byte of the upstream's answer.", buckets=_SLOW
        )
        self.upstream_first_byte = histogram(
            "llm_memory_upstream_first_byte_seconds", "Time to the first byte of its body.", buckets=_SLOW
        )
        self.events = event_counter(registry)
        self.generation = gauge(
            "llm_memory_configuration_generation",
            "The oldest configuration in use, from 1; 0 while a worker starts.",
            mode="livemin",
        )
        self.workers = gauge("llm_memory_workers", "Workers that serve.")
        self.build = gauge("llm_memory_build_info", "Always 1.", "version", "python", "backend", mode="livemax")
        self._begin()

    def of_backend(self, backend: str) -> None:
        """This process serves. Its series are there before anything happens, so a first failure is a rise from 0."""
        for status in ("hit", "miss", "error"):
            self.retrieval(backend, status)
        for status in ("success", "error"):
            self.store_operations(backend, "store", status)
        self.workers().set(1)
        self.build(__version__, platform.python_version(), backend).set(1)

    def _begin(self) -> None:
        for status in WriteStatus:
            self.writes(status.value)
        for series in (self.cache_hits, self.cache_misses, self.queue, self.store_away, self.in_flight):
            series()
