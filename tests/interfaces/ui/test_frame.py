"""The frame of the dashboard: views, keyboard, themes, small screens, and how often it asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.interfaces.ui.conftest import VIEWS, Conduct, Dashboard, Opened

if TYPE_CHECKING:
    from playwright.sync_api import Page

HIDDEN = """
    window.hiddenNow = false;
    Object.defineProperty(Document.prototype, "hidden", { get: () => window.hiddenNow });
    window.hide = (now) => { window.hiddenNow = now; document.dispatchEvent(new Event("visibilitychange")); };
"""


def counted(page: Page, part: str) -> list[str]:
    """A list that grows with each request for such an address."""
    seen: list[str] = []
    page.on("request", lambda asked: seen.append(asked.url) if part in asked.url else None)
    return seen


def settle(page: Page) -> None:
    """Lets what is under way arrive; the page's clock stands still meanwhile."""
    page.wait_for_load_state("networkidle")


def test_every_view_opens_from_the_navigation_and_has_one_heading(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    for view in map(str.capitalize, VIEWS):
        link = page.get_by_role("navigation").get_by_role("link", name=view)
        link.click()
        page.get_by_role("heading", level=1, name=view).wait_for()
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.title() == f"{view} · router-memory"
        assert link.get_attribute("aria-current") == "page"


def test_an_address_nobody_can_read_opens_what_it_can(development: Dashboard, opened: Opened) -> None:
    page = opened(development, "decisions/%E0%A4%A")
    page.get_by_role("table", name="The policy of each decision").wait_for()
    page.goto(f"{development.url}/ui/#/nowhere")
    page.get_by_role("heading", level=1, name="Overview").wait_for()


def test_a_new_view_takes_the_focus_to_its_heading(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    page.get_by_role("link", name="Store").click()
    page.wait_for_function("document.activeElement.tagName === 'H1' && document.activeElement.textContent === 'Store'")


def test_the_keyboard_reaches_content_first_and_every_view(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    page.get_by_role("link", name="Events").wait_for()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    assert skip.evaluate("node => node === document.activeElement && node.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Events"
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Events").wait_for()


def test_what_has_the_focus_is_outlined(development: Dashboard, opened: Opened) -> None:
    page = opened(development, "playground")
    page.get_by_role("button", name="Search").wait_for()
    page.get_by_label("User").focus()
    for _ in range(4):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_colours_follow_the_system(development: Dashboard, opened: Opened, scheme: str, dark: bool) -> None:
    page = opened(development, color_scheme=scheme)
    assert (brightness(page) < 0.2) is dark


def test_a_chosen_theme_wins_over_the_system_and_stays(development: Dashboard, opened: Opened) -> None:
    page = opened(development, color_scheme="dark")
    page.get_by_label("Colours").select_option("Light")
    assert brightness(page) > 0.8
    page.reload()
    page.get_by_role("heading", level=1).wait_for()
    assert brightness(page) > 0.8
    page.get_by_label("Colours").select_option("System")
    assert brightness(page) < 0.2


def brightness(page: Page) -> float:
    """Of the ground, from 0 to 1."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 765


def test_a_narrow_screen_needs_no_scrolling_sideways(development: Dashboard, opened: Opened) -> None:
    development.add("narrow", "a" * 300, "A memory about aisle seats.")
    page = opened(development, width=360)
    for view in VIEWS:
        page.get_by_role("link", name=view.capitalize()).click()
        page.get_by_role("heading", level=1, name=view.capitalize()).wait_for()
        if view == "playground":
            page.get_by_label("User").fill("narrow")
            page.get_by_label("Query").fill("which seats?")
            page.get_by_role("button", name="Search").click()
        page.locator("main table, article.hit, .memory, .timeline li").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_motion_is_left_out_for_who_asks_for_that(development: Dashboard, opened: Opened) -> None:
    page = opened(development, reduced_motion="reduce")
    link = page.get_by_role("link", name="Store")
    pytest.importorskip("playwright.sync_api").expect(link).to_have_css("transition-duration", "0s")


def test_every_control_has_a_name(development: Dashboard, opened: Opened) -> None:
    development.add("names", "One memory.")
    page = opened(development, "memories")
    page.get_by_label("User").fill("names")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("button", name=re.compile("^Edit")).first.click()
    page.get_by_role("button", name="Save").wait_for()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, textarea, button, a")]
            .filter((node) => node.checkVisibility())
            .filter((node) => !(node.labels?.length || node.getAttribute("aria-label") || node.textContent.trim()))
            .map((node) => node.outerHTML)"""
    )
    assert nameless == []


def test_tables_have_captions_and_heads(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    page.get_by_role("table", name="Worker processes").wait_for()
    assert page.locator("table:not(:has(caption)), th:not([scope])").count() == 0


def test_it_asks_every_two_seconds_and_not_while_nobody_looks(development: Dashboard, opened: Opened) -> None:
    page = opened(development, scripts=[HIDDEN])
    page.clock.install()
    page.reload()
    page.get_by_role("table", name="Worker processes").wait_for()
    asked = counted(page, "/v1/state")
    for _ in range(3):
        with page.expect_response("**/v1/state"):
            page.clock.run_for(2_000)
    assert len(asked) == 3
    settle(page)
    page.evaluate("hide(true)")
    page.clock.run_for(60_000)
    settle(page)
    assert len(asked) == 3
    with page.expect_response("**/v1/state"):
        page.evaluate("hide(false)")
    assert len(asked) == 4


def test_live_updates_can_be_paused(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    page.clock.install()
    page.reload()
    page.get_by_role("table", name="Worker processes").wait_for()
    live = page.get_by_role("button", name="Live")
    live.click()
    paused = page.get_by_role("button", name="Paused")
    assert paused.get_attribute("aria-pressed") == "false"
    asked = counted(page, "/v1/state")
    page.clock.run_for(60_000)
    settle(page)
    assert asked == []
    with page.expect_response("**/v1/state"):
        paused.click()


def test_a_service_that_fails_is_asked_less_and_less_often_and_that_is_said(
    development: Dashboard, opened: Opened, conduct: Conduct
) -> None:
    page = opened(development)
    page.clock.install()
    page.reload()
    page.get_by_role("table", name="Worker processes").wait_for()
    settle(page)
    page.route("**/v1/state", lambda route: route.abort())
    asked = counted(page, "/v1/state")
    with page.expect_request("**/v1/state"):
        page.clock.run_for(2_000)
    page.get_by_text("The service does not answer.").first.wait_for()
    page.get_by_text("Next try in 4 s.").wait_for()
    page.clock.run_for(3_000)
    settle(page)
    assert len(asked) == 1
    with page.expect_request("**/v1/state"):
        page.clock.run_for(1_000)
    page.get_by_text("Next try in 8 s.").wait_for()
    page.unroute("**/v1/state")
    with page.expect_response("**/v1/state"):
        page.get_by_role("button", name="Try now").click()
    page.get_by_text("ready", exact=True).first.wait_for()
    assert page.get_by_text("The service does not answer.").count() == page.locator("#said").count() - 1
    conduct.forgive("ERR_FAILED")


def test_a_poll_says_nothing_to_a_screen_reader(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    page.clock.install()
    page.reload()
    page.get_by_role("table", name="Worker processes").wait_for()
    with page.expect_response("**/v1/state"):
        page.clock.run_for(2_000)
    settle(page)
    assert page.locator("#said").text_content() == ""
    assert page.locator("main [aria-live], main [role=status], main [role=alert]").count() == 0
