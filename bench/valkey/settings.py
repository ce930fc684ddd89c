"""What is measured, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["DIMENSION", "FINGERPRINT", "SEED", "Settings"]

SEED = 20260301
DIMENSION = 384
FINGERPRINT = "bench/384/none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The numbers of one run.

    Attributes:
        seed: Of everything that is generated.
        sizes: Memories in all at which searches are timed, ascending; the first is the base of comparison.
        memories_per_user: Of ordinary users.
        search_users: Users that are asked, spread evenly over all.
        search_rounds: Rounds of each comparison of searches.
        reference_rounds: Rounds of the comparison with the reference's query, which is slow.
        cpu_blocks, cpu_calls: How often the processor time of searches is taken, over so many calls each time.
        ingest_rounds: Rounds of each comparison of writes.
        batches: Memories in one call of `add`.
        ping_memories, ping_seconds: Memories at hand to be written while another client's PING is timed, and how long
            it is.
        singles: Memories in one round of single writes.
        searchers: Searches at once.
        segments: How often the throughput of one searcher and of all is taken in turn.
        segment_seconds: How long each time.
        memory_sizes: Memories at which their size is taken.
        large_users, large_size: Large users, and vectors of each.
        largest_size: Vectors of the one largest user.
        small_size: Vectors of the user that large ones are compared with.
        promote_at: Of the store in the comparison of large users; below the default, so that those of
            `large_size` get a graph.
        large_queries, large_rounds: Questions to each large user for recall, and rounds of timing.
        crossover_sizes: Vectors of one user at which exact search and graph are compared.
        tuning: (m, ef_construction) of the graphs whose recall is taken.
        ef_runtimes: At which it is taken.
        tuning_size: Vectors in them.
        texts: A file of texts to embed, one in each line; empty for none.
    """

    seed: int = SEED
    sizes: tuple[int, ...] = (20_000, 120_000, 1_000_000)
    memories_per_user: int = 100
    search_users: int = 200
    search_rounds: int = 2_000
    reference_rounds: int = 200
    cpu_blocks: int = 12
    cpu_calls: int = 100
    ingest_rounds: int = 30
    batches: tuple[int, ...] = (100, 1_000)
    ping_memories: int = 60_000
    ping_seconds: float = 3.0
    singles: int = 100
    searchers: int = 32
    segments: int = 12
    segment_seconds: float = 1.0
    memory_sizes: tuple[int, ...] = (20_000, 100_000)
    large_users: int = 10
    large_size: int = 10_000
    largest_size: int = 100_000
    small_size: int = 1_000
    promote_at: int = 5_000
    large_queries: int = 200
    large_rounds: int = 400
    crossover_sizes: tuple[int, ...] = (1_000, 2_000, 3_000, 5_000, 10_000, 20_000)
    tuning: tuple[tuple[int, int], ...] = ((16, 256), (16, 128), (16, 512), (32, 256))
    ef_runtimes: tuple[int, ...] = (50, 100, 200, 400, 1_000)
    tuning_size: int = 10_000
    texts: str = ""

    def quick(self) -> Settings:
        """The same in a couple of minutes: fewer memories, smaller graphs, fewer rounds."""
        return replace(
            self,
            sizes=tuple(sorted({min(size, 40_000) for size in self.sizes})),
            search_users=100,
            search_rounds=200,
            reference_rounds=40,
            cpu_blocks=3,
            cpu_calls=50,
            ingest_rounds=5,
            ping_memories=10_000,
            ping_seconds=1.5,
            segments=4,
            segment_seconds=0.5,
            memory_sizes=(10_000,),
            large_users=2,
            large_size=5_500,
            largest_size=8_000,
            large_queries=30,
            large_rounds=40,
            crossover_sizes=(1_000, 5_000),
            tuning=((16, 256), (32, 256)),
            ef_runtimes=(100, 200, 400),
            tuning_size=4_000,
        )
