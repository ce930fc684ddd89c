"""A user's memories: what the page shows is what the store holds, and what a person does there happens in the store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.interfaces.ui.conftest import Conduct, Dashboard, Opened

if TYPE_CHECKING:
    from playwright.sync_api import Page

MARKUP = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script><b>bold</b> & &lt;"


def shown(opened: Opened, dashboard: Dashboard, user: str) -> Page:
    """The view with the memories of a user."""
    page = opened(dashboard, "memories")
    page.get_by_label("User").fill(user)
    page.get_by_role("button", name="Show").click()
    page.get_by_role("heading", name="Stored").wait_for()
    return page


def told(page: Page, text: str) -> None:
    """Waits until the page says so, to the eye and to a screen reader."""
    page.locator("main .notice").get_by_text(text).wait_for()
    page.locator("#said").get_by_text(text).wait_for(state="attached")


def test_markup_in_a_memory_is_shown_as_the_text_it_is(development: Dashboard, opened: Opened) -> None:
    development.add("markup", MARKUP)
    page = shown(opened, development, "markup")
    assert page.locator(".content").text_content() == MARKUP
    assert page.locator("main img, main script, main b").count() == 0
    page.get_by_role("button", name=re.compile("^Forget: ")).click()
    assert page.get_by_role("dialog").locator(".content").text_content() == MARKUP
    page.keyboard.press("Escape")
    assert page.title() == "Memories · router-memory"


def test_a_memory_is_added(development: Dashboard, opened: Opened) -> None:
    page = shown(opened, development, "adding")
    page.get_by_text("This user has no such memories.").wait_for()
    page.get_by_text("Add a memory").press("Enter")
    page.get_by_label("Content").fill("Learns Portuguese in Lisbon.")
    page.get_by_label("Type").select_option("episodic")
    page.get_by_label("Importance").fill("0.9")
    page.get_by_role("button", name="Add").click()
    told(page, "Added.")
    (memory,) = development.ask("GET", "memory", user="adding")["memories"]
    assert (memory["type"], memory["importance"]) == ("episodic", 0.9)
    assert memory["content"] == "Learns Portuguese in Lisbon."
    assert page.locator(".memory .content").all_text_contents() == ["Learns Portuguese in Lisbon."]


def test_a_memory_is_changed_in_place_with_the_keyboard(development: Dashboard, opened: Opened) -> None:
    (known,) = development.add("editing", "Lives in Bonn.")
    page = shown(opened, development, "editing")
    page.get_by_role("button", name="Edit: Lives in Bonn.").press("Enter")
    content = page.locator(".memory textarea")
    content.wait_for()
    assert content.evaluate("node => node === document.activeElement")
    page.keyboard.press("Control+A")
    page.keyboard.type("Lives in Lisbon.")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    told(page, "Saved.")
    assert development.ask("GET", f"memory/{known}", user="editing")["content"] == "Lives in Lisbon."
    assert page.evaluate("document.activeElement.textContent") == "Edit"


def test_escape_leaves_a_memory_as_it_was(development: Dashboard, opened: Opened) -> None:
    development.add("escaping", "Drinks tea.")
    page = shown(opened, development, "escaping")
    page.get_by_role("button", name="Edit: Drinks tea.").click()
    page.locator(".memory textarea").fill("Drinks coffee.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Edit: Drinks tea.").wait_for()
    assert development.contents("escaping") == {"Drinks tea."}


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(
    development: Dashboard, opened: Opened, conduct: Conduct
) -> None:
    (known,) = development.add("racing", "Drives a car.")
    page = shown(opened, development, "racing")
    page.get_by_role("button", name="Edit: Drives a car.").click()
    page.locator(".memory textarea").fill("Drives a van.")
    development.ask("PATCH", f"memory/{known}", user="racing", json={"content": "Rides a bicycle."})
    page.get_by_role("button", name="Save").click()
    told(page, "It was changed by somebody else while you edited it")
    assert development.contents("racing") == {"Rides a bicycle."}
    assert page.locator(".memory textarea").input_value() == "Drives a van."
    conduct.forgive("412")


def test_one_memory_is_forgotten_after_a_question(development: Dashboard, opened: Opened) -> None:
    development.add("forgetting", "First.", "Second.")
    page = shown(opened, development, "forgetting")
    page.get_by_role("button", name="Forget: First.").press("Enter")
    dialog = page.get_by_role("dialog", name="Forget this memory?")
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    dialog.get_by_role("button", name="Cancel").press("Enter")
    assert development.contents("forgetting") == {"First.", "Second."}
    page.get_by_role("button", name="Forget: First.").press("Enter")
    dialog.get_by_role("button", name="Forget").click()
    told(page, "Forgotten.")
    assert development.contents("forgetting") == {"Second."}
    assert page.locator(".memory .content").all_text_contents() == ["Second."]


def test_all_memories_are_forgotten_only_once_the_user_is_typed(development: Dashboard, opened: Opened) -> None:
    development.add("leaving", "First.", "Second.")
    development.add("staying", "Third.")
    page = shown(opened, development, "leaving")
    page.get_by_role("button", name="Forget all…").click()
    dialog = page.get_by_role("dialog", name="Forget all memories?")
    go = dialog.get_by_role("button", name="Forget 2 memories")
    typed = dialog.get_by_label("To go on, type leaving")
    assert typed.evaluate("node => node === document.activeElement")
    typed.fill("leavin")
    assert go.is_disabled()
    typed.press("Enter")
    assert development.contents("leaving") == {"First.", "Second."}
    typed.fill("leaving")
    typed.press("Enter")
    told(page, "2 memories forgotten.")
    assert development.contents("leaving") == set()
    assert development.contents("staying") == {"Third."}


def test_forgetting_all_of_a_type_leaves_the_others(development: Dashboard, opened: Opened) -> None:
    development.add("typed", "A fact.")
    development.add("typed", "An event.", type="episodic")
    page = shown(opened, development, "typed")
    page.get_by_label("episodic").check()
    page.get_by_text("1 to 1 of 1 memory").wait_for()
    assert page.locator(".memory .content").all_text_contents() == ["An event."]
    page.get_by_role("button", name="Forget all…").click()
    dialog = page.get_by_role("dialog", name="Forget all episodic memories?")
    dialog.get_by_role("textbox").fill("typed")
    dialog.get_by_role("button", name="Forget 1 memory").click()
    told(page, "1 memory forgotten.")
    assert development.contents("typed") == {"A fact."}


def test_long_lists_are_turned_page_by_page(development: Dashboard, opened: Opened) -> None:
    development.add("paging", *(f"Memory number {number}." for number in range(23)))
    page = shown(opened, development, "paging")
    assert page.locator(".memory").count() == 20
    assert page.get_by_role("button", name="Newer").is_disabled()
    page.get_by_role("button", name="Older").click()
    page.get_by_text("21 to 23 of 23 memories").wait_for()
    assert page.locator(".memory").count() == 3
    assert page.get_by_role("button", name="Older").is_disabled()
    page.get_by_role("button", name="Newer").click()
    page.get_by_text("1 to 20 of 23 memories").wait_for()


def test_a_user_id_may_hold_any_letters_and_a_project_narrows(development: Dashboard, opened: Opened) -> None:
    user = "zoë/дом, 家"
    page = shown(opened, development, user)
    page.get_by_label("Project").fill("häuser")
    page.get_by_text("Add a memory").click()
    page.get_by_label("Content").fill("Belongs to the house.")
    page.get_by_role("button", name="Add").click()
    told(page, "Added.")
    page.locator(".meta").get_by_text("project häuser").wait_for()
    page.get_by_label("Project").fill("other")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("This user has no such memories.").wait_for()
