"""How a demonstration looks on a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from router_memory.cli.demo_answer import answer_view, isolation_view
from router_memory.cli.output import one_line, printable
from router_memory.pipeline.messages import text_of
from router_memory.types import Status, WriteStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from router_memory.demo import Answer, DemoReport, QuestionReport, Replayed
    from router_memory.types import Message

__all__ = ["view"]

_BAR_CELLS = 40
_BLOCK_LINES = 7
_LINE_CELLS = 400
_TROUBLE = (Status.UNAVAILABLE, WriteStatus.FAILED, WriteStatus.REJECTED, WriteStatus.UNKNOWN)


def view(report: DemoReport) -> RenderableType:
    """The whole demonstration, section by section."""
    parts: list[RenderableType] = [*_opening(report), *_replay(report)]
    shown = False
    for number, question in enumerate(report.questions, 1):
        parts += _question(report, question, number)
        main = _main(report, question)
        if not shown and main.status is Status.USED:
            parts += ["", *_messages(main)]
            shown = True
    parts += [*_times(report), *_closing(report)]
    return Group(*parts)


def _section(title: str) -> Iterator[RenderableType]:
    yield ""
    yield Rule(Text(title, style="bold"), align="left", style="cyan", characters="─")


def _opening(report: DemoReport) -> Iterator[RenderableType]:
    yield from _section("router-memory demo")
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("conversations", Text(printable(report.conversation)))
    table.add_row("configuration", Text(printable(report.config)))
    table.add_row("model", Text(printable(report.model)))
    table.add_row("data", "a temporary file, deleted at the end")
    for name, policy in report.policies.items():
        recall = policy.recall
        says = f"up to {recall.limit} memories from similarity {recall.threshold:.2f}, ranked by {recall.mode.value}"
        table.add_row(Text(one_line(name)), Text(says if policy.enabled else "memory is off"))
    yield table
    for warning in report.warnings:
        yield Text.assemble(("warning ", "bold yellow"), printable(warning))


def _replay(report: DemoReport) -> Iterator[RenderableType]:
    yield from _section("The conversations are replayed")
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("user", no_wrap=True)
    for title in ("sessions", "messages", "memories"):
        table.add_column(title, justify="right")
    table.add_column("requests")
    table.add_column("turns")
    for one in report.replayed:
        numbers = [f"{number:,}" for number in (one.sessions, one.messages, one.memories)]
        table.add_row(
            Text(one_line(one.user), style="bold"),
            *numbers,
            Text(_counts(_by_status(one.requests))),
            Text(_counts(_by_status(one.writes))),
        )
    yield table
    yield ""
    yield _deadline_line(report, report.replayed)


def _deadline_line(report: DemoReport, replayed: Sequence[Replayed]) -> Text:
    requests = sum(sum(one.requests.values()) for one in replayed)
    late = sum(one.late for one in replayed)
    decision = one_line(report.replay_decision or "the globals")
    line = Text(
        f"{requests:,} requests under {decision} in {report.replay_seconds:.1f} s, each turn stored before the next; "
    )
    if late:
        verdict = (
            f"{late:,} went on without memory, for they would have passed the deadline of {report.deadline_ms:g} ms"
        )
        return line.append(verdict, style="yellow")
    return line.append(f"none passed the deadline of {report.deadline_ms:g} ms", style="green")


def _question(report: DemoReport, asked: QuestionReport, number: int) -> Iterator[RenderableType]:
    question = asked.question
    yield from _section(f"Question {number}: {one_line(asked.user)} asks")
    yield Text(f"“{one_line(question.text)}”", style="bold")
    category = question.category.replace("_", " ")
    facts = [f"category {category}" if category.isdigit() else category]
    if question.answerable is False:
        facts.append("no memory answers it, so nothing should be injected")
    elif question.evidence:
        facts.append("the answer stands in " + ", ".join(question.evidence))
    about = "; ".join(filter(None, facts))
    if about:
        yield Text(printable(about), style="dim")
    for answer in asked.answers:
        full = answer.decision == report.replay_decision
        if full or answer.injected:
            yield ""
        yield answer_view(answer, question, full=full)
    yield ""
    yield isolation_view(asked)


def _main(report: DemoReport, asked: QuestionReport) -> Answer:
    return next(answer for answer in asked.answers if answer.decision == report.replay_decision)


def _messages(answer: Answer) -> Iterator[RenderableType]:
    yield Text("what the model is sent", style="bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for title, messages in (("before", answer.before), ("after", answer.after)):
        for index, message in enumerate(messages):
            new = title == "after" and not any(message is known for known in answer.before)
            table.add_row(title if not index else "", str(message.get("role")), _excerpt(message, new=new))
    yield Padding(table, (0, 0, 0, 2))


def _excerpt(message: Message, *, new: bool) -> Text:
    lines = printable(text_of(message)).split("\n")
    if len(lines) > _BLOCK_LINES:
        head = _BLOCK_LINES - 2
        lines = [*lines[:head], f"… {len(lines) - head - 1} more lines", lines[-1]]
    clipped = [line if len(line) <= _LINE_CELLS else line[: _LINE_CELLS - 1] + "…" for line in lines]
    return Text("\n".join(clipped), style="green" if new else "")


def _times(report: DemoReport) -> Iterator[RenderableType]:
    if not report.stages:
        return
    yield from _section("Where the time goes")
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("stage", no_wrap=True)
    table.add_column("median ms", justify="right", no_wrap=True)
    table.add_column("")
    longest = max(report.stages.values()) or 1.0
    for stage, milliseconds in report.stages.items():
        bar = "█" * round(_BAR_CELLS * milliseconds / longest) or "▏"
        style = "bold" if stage == "total" else ""
        table.add_row(Text(one_line(stage), style=style), Text(f"{milliseconds:.2f}", style=style), Text(bar, "cyan"))
    yield table
    yield Text("over the questions' requests that searched, all decisions", style="dim")


def _closing(report: DemoReport) -> Iterator[RenderableType]:
    summary = report.summary
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column()
    table.add_row(f"{summary.memories:,}", f"memories stored for {_number(len(report.replayed), 'user')}")
    asked = f"questions, each under {_number(len(report.policies), 'decision')}"
    if summary.judged < summary.questions:
        asked += f"; {summary.questions - summary.judged} were not searched for and are not judged"
    table.add_row(f"{summary.questions:,}", asked)
    if summary.evidence:
        under = one_line(report.replay_decision or "the globals")
        table.add_row(
            f"{summary.evidence_found:,} of {summary.evidence:,}",
            f"messages that hold an answer were injected (top {summary.k}, {under})",
        )
    if summary.unanswerable:
        table.add_row(
            f"{summary.silent:,} of {summary.unanswerable:,}", "questions without an answer got nothing injected"
        )
    style = "bold red" if summary.leaks else "bold green" if summary.looked_at else "bold yellow"
    leaks = Text(f"{summary.leaks:,}", style=style)
    table.add_row(leaks, f"leaks: records of another user among the {summary.looked_at:,} in the lists above")
    late = Text(f"{summary.late:,}", style="bold yellow" if summary.late else "bold")
    hint = " (a busy machine; run it again, or raise deadline_ms)" if summary.late else ""
    what = f"of {summary.requests:,} requests went on without memory, past the deadline of {report.deadline_ms:g} ms"
    table.add_row(late, what + hint)
    if summary.median_latency_ms is not None:
        table.add_row(f"{summary.median_latency_ms:.1f} ms", "added to a question's request that searched, median")
    yield ""
    yield Panel(table, title=Text("Summary", style="bold"), title_align="left", border_style="cyan", padding=(1, 2))


def _by_status(outcomes: Mapping[str, int]) -> Mapping[str, int]:
    """Outcomes by status; those that hide trouble keep their reason."""
    counts: Counter[str] = Counter()
    for outcome, number in outcomes.items():
        status, _, _ = outcome.partition("/")
        counts[outcome if status in _TROUBLE else status] += number
    return counts


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name.replace('/', ': ').replace('_', ' ')}" for name, number in counts.items())


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
