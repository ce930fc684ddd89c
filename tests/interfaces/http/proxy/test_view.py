"""What memory is shown of very long chats."""

from __future__ import annotations

from router_memory.interfaces.http.proxy.view import HEAD, MOST_TEXT, TAIL, view


def user(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


def test_a_chat_of_ordinary_length_is_shown_as_it_is() -> None:
    messages: list[dict[str, object]] = [user("a"), {"role": "assistant", "content": None}, {"content": 3}]
    assert all(shown is message for shown, message in zip(view(messages), messages, strict=True))


def test_of_a_long_text_both_ends_are_shown() -> None:
    (shown,) = view([user("a" * HEAD + "b" * HEAD + "c" * TAIL)])
    assert shown == user("a" * HEAD + "\n" + "c" * TAIL)


def test_long_text_among_images_is_cut_too() -> None:
    parts = [{"type": "image_url"}, {"type": "text", "text": "a" * HEAD}, {"type": "text", "text": "b" * HEAD}]
    (shown,) = view([{"role": "user", "content": parts}])
    assert shown == user("a" * HEAD + "\n" + "b" * TAIL)


def test_the_latest_messages_and_the_first_of_the_user_keep_their_text() -> None:
    part = MOST_TEXT // 4
    system, first = {"role": "system", "content": "s" * part}, user("f" * part)
    late = [user(str(number) * part) for number in range(5)]
    shown = view([system, first, *late])
    assert shown == [{"role": "system"}, first, {"role": "user"}, *late[1:]]


def test_there_are_as_many_messages_as_before() -> None:
    messages = [user("x" * 1000)] * 2000
    assert len(view(messages)) == 2000
