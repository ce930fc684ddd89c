"""How one answer of a demonstration looks: what was injected, where the list was cut, and who saw what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router_memory.cli.output import one_line
from router_memory.types import Reason, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.demo import Answer, Question, QuestionReport
    from router_memory.types import Hit

__all__ = ["answer_view", "isolation_view", "status_text"]

_INDENT = (0, 0, 0, 2)
_BELOW_SHOWN = 3
_OTHERS_SHOWN = 3
_WHOLE_CHARS = 240
_STYLES = {Status.USED: "green", Status.MISSING: "yellow", Status.UNAVAILABLE: "red"}
_MEANINGS = {
    Reason.NO_RESULTS: "nothing reached the threshold",
    Reason.FILTERED: "a filter took out all that was found",
    Reason.DECISION_CONFIG: "memory is off here: nothing read, nothing stored",
    Reason.GLOBAL_CONFIG: "memory is off: nothing read, nothing stored",
    Reason.TIMEOUT: "the deadline passed, so the request went on without memory",
    Reason.OVERLOADED: "the embedder was too busy to meet the deadline",
}


def answer_view(answer: Answer, question: Question, *, full: bool) -> RenderableType:
    """What one decision did with a question; `full` shows the ranking, else what it comes to."""
    parts: list[RenderableType] = [status_text(answer)]
    if question.wanted and answer.cut:
        parts[0] = status_text(answer).append_text(_evidence(answer, question))
    if full and answer.cut and (answer.injected or answer.below):
        parts.append(Padding(_ranking(answer), _INDENT))
    elif answer.injected:
        parts.append(Padding(_short(answer.injected), _INDENT))
    if answer.cut:
        parts.append(Padding(_cut(answer), _INDENT))
    if answer.error:
        parts.append(Padding(Text(one_line(answer.error), style="red"), _INDENT))
    return Group(*parts)


def status_text(answer: Answer) -> Text:
    """Decision, status, reason, and what it cost."""
    text = Text(one_line(answer.decision or "globals"), style="bold")
    text.append("  ")
    text.append(f"{answer.status.value}/{answer.reason.value}", style=_STYLES.get(answer.status, "cyan"))
    if answer.injected:
        count = len(answer.injected)
        what = f"  {count} {'memory' if count == 1 else 'memories'}, {answer.injected_tokens:,} tokens"
    else:
        meaning = _MEANINGS.get(answer.reason, "")
        what = f"  {meaning}" if meaning else ""
    took = f", {answer.seconds['total'] * 1000:.0f} ms" if answer.cut else ""
    return text.append(what + took, style="dim")


def isolation_view(asked: QuestionReport) -> RenderableType:
    """The same question from somebody else, and whether anybody saw what is not theirs."""
    other = asked.other
    head = Text.assemble(
        (f"asked by {one_line(other.asked_by)} instead", "bold"),
        "  ",
        (f"{other.status.value}/{other.reason.value}", _STYLES.get(other.status, "cyan")),
    )
    parts: list[RenderableType] = [head]
    if other.injected:
        head.append(f"  from {one_line(other.asked_by)}'s own {len(other.injected)}", style="dim")
        parts.append(Padding(_short(other.injected[:_OTHERS_SHOWN]), _INDENT))
        if len(other.injected) > _OTHERS_SHOWN:
            parts.append(Padding(Text(f"… and {len(other.injected) - _OTHERS_SHOWN} more", style="dim"), _INDENT))
    answers = (*asked.answers, other)
    foreign = sum(answer.foreign for answer in answers)
    looked_at = sum(answer.looked_at for answer in answers)
    if not looked_at:
        verdict = Text("isolation –  nothing was found for anybody, so there is nothing to judge", style="yellow")
    elif foreign:
        verdict = Text(f"isolation ✗  {foreign} of the {looked_at} records above are another user's", style="bold red")
    else:
        verdict = Text("isolation ✓", style="bold green")
        verdict.append(f"  0 of the {looked_at} records in the lists above are another user's", style="not bold")
    return Group(*parts, verdict)


def _ranking(answer: Answer) -> Table:
    """Injected memories above the line, the best of those that were not under it."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    table.add_column("", width=1)
    table.add_column("date", no_wrap=True)
    table.add_column("speaker", no_wrap=True, max_width=12, overflow="ellipsis")
    table.add_column("memory", ratio=1)
    for title in ("similarity", "lexical", "score ↓"):
        table.add_column(title, justify="right", no_wrap=True)
    for hit in answer.injected:
        found = hit.record.id in answer.evidence
        cells = _cells(hit, whole=found)
        table.add_row(Text("✓" if found else "", style="bold green"), *cells, style="bold" if found else "")
    if answer.injected and answer.below:
        table.add_row("", "", "", Text("— next best, not injected —", style="yellow"), "", "", "")
    for hit in answer.below[:_BELOW_SHOWN]:
        table.add_row("", *_cells(hit), style="dim")
    return table


def _cells(hit: Hit, *, whole: bool = False) -> tuple[Text, ...]:
    """Date, speaker, text and scores; the text on one line unless it is wanted whole, as far as that is bearable."""
    record = hit.record
    content = one_line(record.content)
    if whole and len(content) > _WHOLE_CHARS:
        content = content[: _WHOLE_CHARS - 1] + "…"
    return (
        Text(f"{record.created_at:%Y-%m-%d}"),
        Text(one_line(record.speaker or "")),
        Text(content, no_wrap=not whole, overflow="fold" if whole else "ellipsis"),
        Text(f"{hit.similarity:.3f}"),
        Text(f"{hit.lexical:.2f}"),
        Text(f"{hit.score:.3f}"),
    )


def _short(hits: Sequence[Hit]) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, max_width=12, overflow="ellipsis")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for hit in hits:
        date, speaker, content, similarity, *_ = _cells(hit)
        table.add_row(similarity, date, speaker, content)
    return table


def _cut(answer: Answer) -> Text:
    if answer.cut is None:
        return Text()
    cut = answer.cut
    text = Text.assemble(("threshold ", "dim"), (f"{cut.threshold:.3f}", "bold yellow"))
    text.append(f" ({cut.rule}, configured {cut.floor:.2f}): {one_line(cut.why)}", style="dim")
    reasons = dict.fromkeys(one_line(dropped.why) for dropped in answer.dropped)
    if reasons:
        text.append(f"\nleft out above it: {len(answer.dropped)} ({'; '.join(reasons)})", style="dim")
    return text


def _evidence(answer: Answer, question: Question) -> Text:
    found, wanted = len(set(answer.evidence.values())), len(question.wanted)
    style = "green" if found == wanted else "yellow"
    return Text(f"  {found} of {wanted} with the answer", style=style)
