"""No figure in the tables of docs/performance.md was typed from memory: each is rounded from bench/results."""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.claims import at_most
from bench.stages.report import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
PROSE = " ".join(PAGE.split())
MISSED = "**missed**"


def results(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return document


def section(title: str) -> str:
    """The text below a heading; that above the first one for no title."""
    return next(text for text in re.split(r"^## ", PAGE, flags=re.MULTILINE) if text.startswith(title))


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each table's rows, without head and rule."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in row[1:-1].split("|")] for row in block.splitlines()[2:]] for block in blocks]


def short(text: str) -> str:
    """Without the zero before the point."""
    return text.removeprefix("0")


def percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if share else "0"


# -- stages

STAGES = {
    "embed one short query": "embed",
    "candidates of 100 memories": "candidates_100",
    "candidates of 1,000 memories": "candidates_1000",
    "candidates of 10,000 memories": "candidates_10000",
    "rerank of 100 candidates": "rerank_100",
    "inject 10 memories": "inject_10",
    "`on_request` without its embedding, 1,000 memories": "on_request_without_embedding",
    "`on_request`, 1,000 memories": "on_request",
}


def stage_rows() -> Iterator[list[str]]:
    document = results("stages")
    for label, stage in STAGES.items():
        one = document["stages"][stage]
        ratios = [run["ratios"][name] for run in document["runs"] if (name := f"{stage} / embed") in run["ratios"]]
        yield [
            label,
            *(f"{one[name] * 1e3:.2f} ms" for name in ("median_seconds", "p95_seconds", "embed_median_seconds")),
            f"{one['ratio_to_embed']:.3f}",
            f"≤ {TARGETS[stage]:g}" if stage in TARGETS else "",
            f"{min(ratios):.3f} – {max(ratios):.3f}" if ratios else "",
        ]


def test_stages() -> None:
    (table,) = tables(section("# Performance"))
    assert table == list(stage_rows())


def test_what_is_said_of_the_run_of_stages() -> None:
    document = results("stages")
    environment = document["environment"]
    rounds = {one["rounds"] for one in document["stages"].values()}
    said = [
        (
            f"{environment['cpus']} shared x86-64 CPUs, Python {environment['python']}, torch "
            f"{environment['versions']['torch'].partition('+')[0]}"
        ),
        f"{min(rounds)} rounds a stage, the calmest of {len(document['runs'])} runs",
        f"differs by a factor of {document['floor_max_over_min']:.2f} between the stages",
        f"Requests had {document['stages']['on_request']['candidates_median']:.0f} candidates in the median",
        f"`--seed`, {environment['seed']}",
    ]
    assert len(rounds) == 1
    assert [text for text in said if text not in PROSE] == []


# -- the Valkey store and the hot cache


class Row:
    """What a row of figures and targets must say.

    Args:
        figure: Its second cell.
        claims: Those the figures are of, in order; without a target for a row that has none.
    """

    def __init__(self, figure: str, *claims: Mapping[str, Any]) -> None:
        self.figure = figure
        self.targets = {claim["target"] for claim in claims if "target" in claim}
        said = ["met" if claim["met"] else MISSED for claim in claims if "target" in claim]
        self.verdict = " · ".join(one for one, _ in groupby(said))

    def check(self, cells: Sequence[str]) -> None:
        assert cells[1] == self.figure
        targets, _, verdict = cells[2].rpartition(", ")
        assert verdict == self.verdict
        assert {
            f"{sign} {float(number):g}" for sign, number in re.findall(r"([≤≥<>]) ([\d.]+)", targets)
        } == self.targets


def valkey_rows() -> dict[str, Row]:
    summary = results("valkey")["summary"]
    searches, ingest = summary["searches"], summary["ingest"]
    large = results("valkey-large")["summary"]["large"]
    sizes = ("20,000", "120,000", "1,000,000")
    piped = [searches[f"search at {size}, p50 / the bare FT.SEARCH in one pipeline"] for size in sizes]
    grown = searches["search at 1,000,000, p50 / at 20,000"]
    apart = searches["search at 20,000, p50 / the bare FT.SEARCH one by one"]["value"]
    both, dense = (
        searches[f"the reference's KNN / search, {channels}, at 20,000"]
        for channels in ("both channels", "dense alone")
    )
    times = [claim for name, claim in large.items() if "p50 / a user of 1,000" in name]
    clustered, random = (
        [large[f"{kind} vectors, users of {size}: recall@10"] for size in ("10,000", "20,000")]
        for kind in ("clustered", "random")
    )
    batches = [ingest[f"ingest in batches of {size} / single HSETs"] for size in ("100", "1,000")]
    single = ingest["ingest one by one / single HSETs"]
    server = [ingest[f"ms of the server per memory, {how}"] for how in ("batches of 100", "one by one")]
    many = summary["concurrent"]["32 searchers / one, searches per second"]
    statistics = summary["statistics"]["statistics, p50 / one bare HMGET"]
    return {
        "search of 1,000,000 memories / of 20,000": Row(f"{grown['value']:.2f}", grown),
        "search / its two bare `FT.SEARCH`, one after the other, 20,000": Row(
            f"{apart:.2f}", at_most("", apart, float(piped[0]["target"].removeprefix("≤ "))).document()
        ),
        "the same in one pipeline, 20,000 · 120,000 · 1,000,000": Row(
            " · ".join(f"{claim['value']:.2f}" for claim in piped), *piped
        ),
        "one HNSW index with a user filter, `ef` 200 / search, both channels, 20,000": Row(
            f"{both['value']:.1f}", both
        ),
        "the same / search, dense channel alone": Row(f"{dense['value']:.1f}", dense),
        "users of 10,000 and 20,000 with graphs / a user of 1,000": Row(
            f"{min(claim['value'] for claim in times):.2f} – {max(claim['value'] for claim in times):.2f}", *times
        ),
        "recall@10 of these against brute force, clustered · random vectors": Row(
            f"{min(claim['value'] for claim in clustered):.3f} · "
            + " and ".join(short(f"{claim['value']:.2f}") for claim in random),
            *clustered,
            *random,
        ),
        "ingest in batches of 100 · 1,000 / single `HSET`": Row(
            " · ".join(f"{claim['value']:.1f}" for claim in batches), *batches
        ),
        "ingest one by one / single `HSET`": Row(f"{single['value']:.2f}", single),
        "server time a memory, in batches · singly": Row(
            " · ".join(short(f"{claim['value']:.2f}") for claim in server) + " ms", *server
        ),
        "32 searchers / one": Row(f"{many['value']:.2f}", many),
        "`statistics` / a bare `HMGET`": Row(f"{statistics['value']:.2f}", statistics),
    }


def cache_rows() -> dict[str, Row]:
    summary = results("cache")["summary"]

    def level1(kind: str, less: str = "") -> tuple[str, str, list[Mapping[str, Any]]]:
        """Microseconds and ratio as they are written, and their claims."""
        micro = summary["level1"][f"level 1 hit, {kind}, p50 µs{less}"]
        ratio = summary["level1"][f"level 1 hit, {kind}, p50{less} / a bare GET"]
        return f"{micro['value']:.0f} µs", short(f"{ratio['value']:.2f}"), [micro, ratio]

    strict, bounded = level1("embedded strict"), level1("embedded bounded")
    remote, waiting = level1("valkey bounded"), level1("valkey strict", " less one bare GET")
    stores = ("embedded", "valkey")

    def pair(part: str, name: str, digits: int) -> Row:
        """Of both stores."""
        claims = [summary[part][name.format(store)] for store in stores]
        return Row(" · ".join(f"{claim['value']:.{digits}f}" for claim in claims), *claims)

    level2 = "level 2 hit, {{}} {}, p50 less the rerank / a bare GET of it"
    return {
        "level 1 hit, embedded store, strict · bounded": Row(
            f"{strict[0]}, {strict[1]} of a bare GET · {bounded[0]}, {bounded[1]}", *strict[2], *bounded[2]
        ),
        "level 1 hit, Valkey store, bounded": Row(f"{remote[0]}, {remote[1]}", *remote[2]),
        "level 1 hit, Valkey store, strict, less one bare GET": Row(f"{waiting[0]}, {waiting[1]}", *waiting[2]),
        "level 2 hit less the rerank / a bare GET of its bytes, bounded, embedded · Valkey": pair(
            "level2", level2.format("bounded"), 1
        ),
        "the same, strict, embedded · Valkey": pair("level2", level2.format("strict"), 1),
        "a miss with the cache / without it, embedded · Valkey": pair(
            "miss", "a miss, {}, p50 with the cache / without", 2
        ),
    }


def service_rows() -> dict[str, Row]:
    summary = results("service")["summary"]

    def throughput(part: str, name: str) -> Row:
        """Of plain and of streamed answers."""
        claims = [summary[part][f"{name}, {kind}, throughput / pass-through"] for kind in ("plain", "streamed")]
        return Row(" · ".join(short(f"{claim['value']:.2f}") for claim in claims), *claims)

    def milliseconds(part: str, name: str) -> Row:
        claim = summary[part][name]
        return Row(f"{claim['value']:+.2f} ms".replace("-", "−"), claim)

    chats, embedding = (summary["miss"][name] for name in ("miss, plain, chats a second", "embedding a question, ms"))
    return {
        "memory off, throughput / pass-through, plain · streamed": throughput("off", "memory off"),
        "level 1 hit, throughput / pass-through, plain · streamed": throughput("hit", "level 1 hit"),
        "memory off, first token beside the pass-through's, one client": milliseconds(
            "off", "memory off, first token, ms more"
        ),
        "level 1 hit, first token beside the pass-through's, one client": milliseconds(
            "hit", "level 1 hit, first token, ms more"
        ),
        "miss, first token beside the pass-through's and an embedding, one client": milliseconds(
            "miss", "miss, first token, ms more than the embedding"
        ),
        "misses a second, 16 clients · an embedding by itself": Row(
            f"{chats['value']:.0f} · {embedding['value']:.1f} ms", chats, embedding
        ),
    }


VALKEY, CACHE, SERVICE = valkey_rows(), cache_rows(), service_rows()
ROWS = {title: tables(section(title))[0] for title in ("Valkey", "The hot cache", "The service")}


@pytest.mark.parametrize(
    ("title", "expected"), [("Valkey", VALKEY), ("The hot cache", CACHE), ("The service", SERVICE)]
)
def test_no_row_is_left_unchecked(title: str, expected: Mapping[str, Row]) -> None:
    assert [cells[0] for cells in ROWS[title]] == list(expected)


@pytest.mark.parametrize("cells", ROWS["Valkey"], ids=lambda cells: cells[0])
def test_valkey(cells: Sequence[str]) -> None:
    VALKEY[cells[0]].check(cells)


@pytest.mark.parametrize("cells", ROWS["The hot cache"], ids=lambda cells: cells[0])
def test_cache(cells: Sequence[str]) -> None:
    CACHE[cells[0]].check(cells)


@pytest.mark.parametrize("cells", ROWS["The service"], ids=lambda cells: cells[0])
def test_service(cells: Sequence[str]) -> None:
    SERVICE[cells[0]].check(cells)


DAY = {
    "none": "without",
    "level 1": "level 1 alone",
    "both": "both levels",
    "both, 3 processes": "both levels, 3 processes",
}


def day_rows() -> Iterator[list[str]]:
    trace = results("cache")["parts"]["trace"]
    for store in ("embedded", "Valkey"):
        for label, name in DAY.items():
            one = trace[store.lower()][name]
            cached, shared = name != "without", name.startswith("both")
            yield [
                store,
                label,
                percent(one["level_1"]) if cached else "",
                percent(one["level_2"]) if shared else "",
                percent(one["joined"]) if cached else "",
                f"{one['mean_ms']:.1f} ms",
                percent(one["embeddings_saved_share"]) if cached else "",
                percent(one["searches_saved_share"]) if cached else "",
            ]


def test_day_of_agents() -> None:
    assert tables(section("The hot cache"))[1] == list(day_rows())


def test_what_is_said_of_the_runs_on_servers() -> None:
    """Versions, sizes and the figures that stand in sentences."""
    valkey, cache = results("valkey"), results("cache")
    servers, levels = valkey["environment"]["servers"], cache["summary"]["level1"]
    memory = valkey["parts"]["memory"]
    said = [
        f"Valkey {servers['valkey']} with Search {servers['valkey-search']}",
        (
            f"{memory['dimension']} components, {memory['characters']} characters, "
            f"{valkey['settings']['memories_per_user']} memories a user"
        ),
        f"a bare `GET` took {round(levels['bare GET of 16 bytes, p50 µs']['value'], -2):.0f} µs at the median",
        (
            f"a quick run: {cache['settings']['memories']:,} memories of one user, about "
            f"{round(cache['parts']['level1']['questions']['embedded']['candidates_median'], -1):.0f} candidates"
        ),
        f"{levels['level 1 hit, valkey strict, p50 / a bare GET and a bounded hit']['value']:.1f} times a bare GET",
        f"({cache['parts']['trace']['day']['requests']} requests of users by Zipf's law",
    ]
    assert [text for text in said if text not in PROSE] == []
    assert all("--quick" in part["command"] for part in cache["parts"].values())
