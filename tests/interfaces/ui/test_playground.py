"""The playground: a search, and its explanation drawn to the numbers that the memory API gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.interfaces.ui.conftest import Conduct, Dashboard, Opened

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MEMORIES = (
    "I always prefer aisle seats on long flights.",
    "My sister studies marine biology in Porto.",
    "Our production cluster runs three nodes.",
    "The espresso machine needs descaling.",
    "<script>document.title='taken'</script> on long flights",
)
QUERY = "Which seats do I prefer on long flights?"


def searched(opened: Opened, dashboard: Dashboard, user: str, *, decision: str = "", threshold: str = "") -> Page:
    """The view after a search."""
    if not dashboard.contents(user):
        dashboard.add(user, *MEMORIES)
    page = opened(dashboard, "playground")
    page.get_by_label("User").fill(user)
    if decision:
        page.locator("option", has_text=decision).wait_for(state="attached")
        page.get_by_label("Decision").select_option(decision)
    if threshold:
        page.get_by_text("In place of what the decision says").press("Enter")
        page.get_by_label("Threshold").fill(threshold)
    page.get_by_label("Query").fill(QUERY)
    page.get_by_label("Query").press("Control+Enter")
    page.get_by_role("heading", name="The search").wait_for()
    return page


def explained(dashboard: Dashboard, user: str, **body: Any) -> dict[str, Any]:
    """What the API says of the same search."""
    found = dashboard.ask("POST", "memory/search", user=user, json={"query": QUERY, "explain": True, **body})
    return dict(found["explain"])


def test_hits_and_misses_are_those_of_the_api(development: Dashboard, opened: Opened) -> None:
    page = searched(opened, development, "searching", decision="strict_route")
    truth = explained(development, "searching", decision="strict_route")
    returned = page.get_by_role("region", name="Returned", exact=True).locator(".hit .content").all_text_contents()
    below = page.get_by_role("region", name="Next best").locator("article.hit")
    assert returned == [hit["record"]["content"] for hit in truth["hits"]]
    assert below.locator(".content").all_text_contents() == [hit["record"]["content"] for hit in truth["below"]]
    for card, miss in zip(below.all(), truth["misses"], strict=True):
        assert card.locator(".verdict").first.text_content() == miss["why"]
    assert truth["cut"]["why"] in (page.get_by_role("region", name="The search").text_content() or "")
    assert page.title() == "Playground · router-memory"


def test_bars_are_as_long_as_the_signals_are_strong_and_point_by_their_sign(
    development: Dashboard, opened: Opened
) -> None:
    page = searched(opened, development, "drawing", threshold="0")
    truth = explained(development, "drawing", threshold=0)
    everything = [*truth["hits"], *truth["below"]]
    most = max(abs(value) for hit in everything for value in hit["signals"].values())
    assert any(value < -0.0005 for hit in everything for value in hit["signals"].values())
    for card, hit in zip(page.locator("article.hit").all(), everything, strict=True):
        told = {name: value for name, value in hit["signals"].items() if abs(value) >= 0.0005}
        for name, value in told.items():
            bar = card.locator(".sum").first.locator("tr", has=named(page, name)).locator(".diverge i")
            assert bar.get_attribute("class") == ("down" if value < 0 else "up")
            drawn = bar.evaluate("node => node.getBoundingClientRect().width / node.parentElement.clientWidth")
            assert abs(drawn - abs(value) / most / 2) < 0.02


def named(page: Page, name: str) -> Locator:
    return page.get_by_role("rowheader", name=name, exact=True)


def test_bars_have_their_numbers_beside_them(development: Dashboard, opened: Opened) -> None:
    page = searched(opened, development, "telling", threshold="0")
    (best, *_) = explained(development, "telling", threshold=0)["hits"]
    card = page.locator("article.hit").first
    for name, share in best["shares"].items():
        value = best["signals"][name]
        if abs(value) >= 0.0005:
            row = card.locator(".sum").first.locator("tr", has=named(page, name)).text_content() or ""
            assert f"{abs(value):.3f}" in row
            assert f"{abs(share) * 100:.0f}" in row or f"{abs(share) * 100:.1f}" in row
    assert f"{best['similarity']:.3f}" in (card.text_content() or "")
    assert page.locator("main svg:not([aria-hidden=true]), .diverge:not([aria-hidden=true])").count() == 0


def test_the_similarity_stands_against_the_threshold(development: Dashboard, opened: Opened) -> None:
    page = searched(opened, development, "cutting", decision="personalized_route")
    truth = explained(development, "cutting", decision="personalized_route")
    scale = page.locator(".hit .scale").first
    first = (truth["hits"] or truth["below"])[0]
    across = "(node) => node.getBoundingClientRect()"
    whole, line, bar = (each.evaluate(across) for each in (scale, scale.locator("b").last, scale.locator("i")))
    at = (line["x"] + line["width"] / 2 - whole["x"]) / whole["width"]
    assert abs(at - truth["cut"]["threshold"]) < 0.01
    assert abs(bar["width"] / whole["width"] - first["similarity"]) < 0.01


def test_a_decision_without_memory_and_a_user_without_memories_say_so(development: Dashboard, opened: Opened) -> None:
    page = opened(development, "playground")
    page.get_by_label("User").fill("nobody-yet")
    page.get_by_label("Query").fill(QUERY)
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Nothing reached the threshold").wait_for()
    page.locator("#said", has_text="0 memories returned.").wait_for(state="attached")


def test_a_search_changes_nothing(development: Dashboard, opened: Opened) -> None:
    searched(opened, development, "looking", threshold="0")
    listed = development.ask("GET", "memory", user="looking")["memories"]
    assert [memory["access_count"] for memory in listed] == [0] * len(MEMORIES)


def test_what_the_service_refuses_is_said_in_words(development: Dashboard, opened: Opened, conduct: Conduct) -> None:
    page = opened(development, "playground")
    page.get_by_label("User").fill("searching")
    page.get_by_label("Query").fill("   ")
    page.get_by_role("button", name="Search").click()
    page.locator(".notice.bad", has_text="query").wait_for()
    conduct.forgive("400")
