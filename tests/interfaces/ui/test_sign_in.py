"""Who may see what: the operator's key, a user's key, none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interfaces.ui.conftest import ADMIN_KEY, USER_KEY, Conduct, Dashboard, Opened

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(autouse=True)
def _forgiven(opened: Opened, conduct: Conduct) -> object:
    """The browser writes down each answer of 401 and 403; these tests bring them about."""
    yield
    conduct.forgive("401")
    conduct.forgive("403")


def signed_in(page: Page, key: str) -> None:
    dialog = page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("Admin key, API key or token").fill(key)
    dialog.get_by_role("button", name="Sign in").click()


def test_an_operator_signs_in_and_out(guarded: Dashboard, opened: Opened) -> None:
    page = opened(guarded)
    signed_in(page, ADMIN_KEY)
    page.get_by_role("table", name="Worker processes").wait_for()
    page.get_by_text("operator", exact=True).wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("dialog", name="Sign in").wait_for()
    assert page.get_by_role("table").count() == 0
    assert page.evaluate("sessionStorage.length") == 0


def test_the_key_stays_in_the_tab_and_nowhere_else(guarded: Dashboard, opened: Opened) -> None:
    page = opened(guarded)
    signed_in(page, ADMIN_KEY)
    page.get_by_role("table", name="Worker processes").wait_for()
    with page.expect_request("**/v1/state") as asked:
        page.reload()
    assert asked.value.headers["authorization"] == f"Bearer {ADMIN_KEY}"
    assert ADMIN_KEY not in asked.value.url
    page.get_by_role("table", name="Worker processes").wait_for()
    assert page.evaluate("JSON.stringify(localStorage) + document.cookie") == "{}"
    other = page.context.new_page()
    other.goto(f"{guarded.url}/ui/")
    other.get_by_role("dialog", name="Sign in").wait_for()


def test_the_dialog_says_that_without_an_admin_key_none_opens_it(guarded: Dashboard, opened: Opened) -> None:
    dialog = opened(guarded).get_by_role("dialog", name="Sign in")
    dialog.get_by_text("service.auth.admin_key").wait_for()
    dialog.get_by_text("ROUTER_MEMORY_ADMIN_KEY").wait_for()


def test_nothing_is_live_before_an_operator_is_signed_in(guarded: Dashboard, opened: Opened) -> None:
    page = opened(guarded)
    page.get_by_role("dialog", name="Sign in").wait_for()
    assert not page.locator("#live").is_visible()
    signed_in(page, ADMIN_KEY)
    page.get_by_role("button", name="Live").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("dialog", name="Sign in").wait_for()
    assert not page.locator("#live").is_visible()


def test_a_wrong_key_is_refused_in_words(guarded: Dashboard, opened: Opened) -> None:
    page = opened(guarded)
    signed_in(page, "not-the-key")
    page.get_by_role("alert").get_by_text("The key was not accepted: it may be wrong").wait_for()
    assert page.evaluate("sessionStorage.length") == 0
    signed_in(page, "with blanks")
    page.get_by_role("alert").get_by_text("without blanks").wait_for()


def test_a_users_key_opens_that_users_memories_alone(guarded: Dashboard, opened: Opened) -> None:
    guarded.add("ana", "Belongs to ana.")
    guarded.add("ben", "Belongs to ben.")
    page = opened(guarded)
    signed_in(page, USER_KEY)
    page.get_by_role("heading", level=1, name="Playground").wait_for()
    assert page.get_by_role("navigation").get_by_role("link").all_text_contents() == ["Playground", "Memories"]
    page.get_by_role("link", name="Memories").click()
    page.locator(".memory").get_by_text("Belongs to ana.").wait_for()
    page.get_by_label("User").fill("ben")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("this API key does not stand for the user").first.wait_for()
    assert page.get_by_text("Belongs to ben.").count() == 0


def test_without_a_key_it_is_said_what_that_means(guarded: Dashboard, opened: Opened) -> None:
    page = opened(guarded)
    page.get_by_role("button", name="Go on without").click()
    page.get_by_role("link", name="Memories").click()
    page.locator("main").get_by_text("no key was given").wait_for()
    assert page.get_by_text("not accepted").count() == 0
    page.get_by_role("button", name="Sign in").click()
    signed_in(page, ADMIN_KEY)
    page.get_by_role("link", name="Overview").wait_for()


def test_a_key_that_is_taken_back_asks_for_another_one(guarded: Dashboard, opened: Opened) -> None:
    page = opened(guarded)
    signed_in(page, ADMIN_KEY)
    page.get_by_role("table", name="Worker processes").wait_for()
    page.route("**/v1/state", lambda route: route.fulfill(status=401, json={"error": {"code": "NOT_AUTHENTICATED"}}))
    page.get_by_text("The key of this tab is no longer accepted.").wait_for()


def test_development_mode_asks_for_nothing(development: Dashboard, opened: Opened) -> None:
    page = opened(development)
    page.get_by_text("development mode: everybody is an operator").wait_for()
    assert page.get_by_role("button", name="Sign in").count() == 0
    assert page.get_by_role("dialog").count() == 0


def test_a_store_that_is_away_is_said_in_words(development: Dashboard, opened: Opened, conduct: Conduct) -> None:
    page = opened(development, "memories")
    page.get_by_label("User").wait_for()
    refusal = {"error": {"code": "MEMORY_NOT_AVAILABLE", "message": "memory is not available"}}
    page.route("**/v1/memory?**", lambda route: route.fulfill(status=503, json=refusal))
    page.get_by_label("User").fill("ana")
    page.get_by_role("button", name="Show").click()
    page.locator("main").get_by_text("The service is up, and its memory cannot be used right now").wait_for()
    conduct.forgive("503")
