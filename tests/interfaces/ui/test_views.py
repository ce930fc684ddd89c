"""What the views that only show things show, against what the service says."""

from __future__ import annotations

import re

from tests.interfaces.ui.conftest import Dashboard, Opened


def test_the_overview_tells_stages_outcomes_cache_workers_and_readiness(development: Dashboard, opened: Opened) -> None:
    development.add("overview", "I prefer aisle seats on long flights.")
    for _ in range(2):  # the second one is a hit of level 1
        development.chat("overview", "Which seats do I prefer on long flights?")
    development.chat("overview-writer", "Please remember that I drink green tea.", reply="I shall remember it.")
    page = opened(development)
    stages = page.get_by_role("table", name="Latency of each stage of a request")
    stages.get_by_role("rowheader", name="embed").wait_for()
    total = stages.get_by_role("row", name=re.compile("^total")).get_by_role("cell").all_text_contents()
    assert all(re.fullmatch(r"(≤ )?[\d.]+ ms", cell) for cell in total[1:4])
    outcomes = page.get_by_role("table", name="Requests by outcome")
    assert outcomes.get_by_role("row", name=re.compile("^used injected plugin")).count() == 1
    assert "level 1" in page.get_by_role("table", name=re.compile("level of the cache")).inner_text()
    written = page.get_by_role("table", name="Messages by what became of them")
    written.get_by_role("row", name=re.compile("^stored [1-9]")).wait_for()  # a turn is written behind the reply
    assert page.get_by_role("table", name="Worker processes").get_by_role("row").count() == 2
    readiness = page.get_by_role("region", name="Readiness").inner_text()
    assert all(check in readiness for check in ("model", "store", "index"))


def test_the_overview_goes_on_by_itself(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    tile = page.locator(".tile", has_text="since the start").locator(".sub")
    tile.wait_for()
    before = int(re.sub(r"\D", "", tile.inner_text()))
    development.chat("overview", "Hello there, which seats do I like?")
    page.wait_for_function(
        "before => Number(document.querySelector('.tile .sub').textContent.replace(/\\D/g, '')) > before", arg=before
    )


def test_latencies_of_few_requests_are_bounds_and_of_none_are_none(development: Dashboard, opened: Opened) -> None:
    stages = [
        {"name": "total", "count": 1, "since_start": 9, "p50": 0.01, "p95": 0.01, "p99": 0.01, "at_most": True},
        {"name": "embed", "count": 0, "since_start": 9, "p50": None, "p95": None, "p99": None, "at_most": False},
        {"name": "rank", "count": 40, "since_start": 90, "p50": 0.0075, "p95": 0.34, "p99": 1.0, "at_most": False},
    ]
    real = development.ask("GET", "state")
    page = opened(development, "store")
    page.route("**/v1/state", lambda route: route.fulfill(json={**real, "stages": stages}))
    page.goto(f"{development.url}/ui/#/overview")
    page.reload()
    table = page.get_by_role("table", name="Latency of each stage of a request")
    table.wait_for()
    rows = {name: table.get_by_role("row", name=re.compile(f"^{name}")) for name in ("total", "embed", "rank")}
    shown = {name: row.get_by_role("cell").all_text_contents()[1:] for name, row in rows.items()}
    assert shown["total"] == ["≤ 10 ms", "≤ 10 ms", "≤ 10 ms", "1", "9"]
    assert shown["embed"] == ["–", "–", "–", "0", "9"]
    assert shown["rank"] == ["7.5 ms", "340 ms", "1 s", "40", "90"]


def test_the_store_counts_a_memory_as_the_examination_does_and_speaks_in_words(
    development: Dashboard, opened: Opened
) -> None:
    development.add("store-view", "I sit at the window.")
    page = opened(development, "store")
    holdings = page.get_by_role("region", name="Holdings")
    holdings.get_by_text("are the write-ahead log").wait_for()
    holdings.get_by_text("with vectors and indexes").wait_for()
    details = page.get_by_role("region", name="Indexes and keyspace").inner_text()
    assert "graphs in use" in details
    assert not re.search(r"wal bytes|hnsw open|page bytes", details)


def test_a_redraw_keeps_focus_and_selection(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    page.clock.install()
    page.reload()
    region = page.get_by_role("group", name="Worker processes")
    region.focus()
    development.chat("overview", "Do I like window seats?")
    with page.expect_response("**/v1/state"):
        page.clock.run_for(2_000)
    drawn = "number => Number(document.querySelector('.tile .sub').textContent.replace(/\\D/g, '')) === number"
    page.wait_for_function(drawn, arg=development.ask("GET", "state")["requests"]["total"])
    assert region.evaluate("node => node === document.activeElement")


def test_decisions_tell_their_own_values_from_the_globals(development: Dashboard, opened: Opened) -> None:
    page = opened(development, "decisions")
    row = page.get_by_role("row", name=re.compile("^strict_route"))
    row.wait_for()
    assert row.locator(".own").all_text_contents() == ["3, set by the decision", "0.68, set by the decision"]
    assert "rerank" in row.locator(".inherited").all_text_contents()
    off = page.get_by_role("row", name=re.compile("^no_memory_route"))
    assert off.locator(".own").first.inner_text().startswith("no")


def test_a_decision_opens_to_all_of_its_values(development: Dashboard, opened: Opened) -> None:
    page = opened(development, "decisions")
    page.get_by_role("link", name="personalized_route").press("Enter")
    whole = page.get_by_role("table", name="Every value of personalized_route")
    row = whole.get_by_role("row", name=re.compile(r"^recall\.threshold"))
    row.wait_for()
    assert row.get_by_role("cell").all_text_contents() == ["0.60, set by the decision", "0.70", "the decision"]
    assert page.evaluate("document.activeElement.textContent") == "All of personalized_route"


def test_the_store_is_shown_with_its_indexes_and_its_examination(development: Dashboard, opened: Opened) -> None:
    development.add("stored", "One memory to be counted.")
    page = opened(development, "store")
    page.get_by_role("table", name=re.compile("examination")).wait_for()
    held = development.ask("GET", "state", params={"include": "store"})["store"]
    holdings = page.get_by_role("region", name="Holdings").inner_text()
    assert held["backend"] in holdings
    assert held["fingerprint"] in holdings
    assert "write-ahead log" in page.get_by_role("region", name="Indexes and keyspace").inner_text()
    assert page.get_by_role("row", name=re.compile("^integrity ok")).count() == 1


def test_events_are_a_timeline_that_can_be_narrowed_and_joined_by_chats(development: Dashboard, opened: Opened) -> None:
    development.chat("events", "Which seats do I like?")
    page = opened(development, "events")
    timeline = page.get_by_role("region", name="Timeline")
    timeline.get_by_text("started").wait_for()
    assert timeline.get_by_text("request", exact=True).count() == 0
    page.get_by_label("with the latest chats").check()
    timeline.get_by_text("request", exact=True).first.wait_for()
    page.get_by_label("Show").select_option("started")
    assert timeline.get_by_role("listitem").count() == 1
