"""One tuning run from files to report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from router_memory import arguments
from router_memory.config import Config, load_config
from router_memory.demo.configuration import default_config_file
from router_memory.errors import InvalidRequest
from router_memory.tuning.cases import Kind
from router_memory.tuning.configured import configured_plugin
from router_memory.tuning.material import Material, from_conversations, from_traffic
from router_memory.tuning.objective import Objective, choose, indifferent, parse_objective, unmet
from router_memory.tuning.report import TuneReport
from router_memory.tuning.snippet import snippet
from router_memory.tuning.sweep import Point, Setting, Sweep, settings
from router_memory.tuning.traffic import is_traffic
from router_memory.types import CutoffRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router_memory.types import DecisionPolicy, RecallPolicy

__all__ = ["DEFAULT_SEED", "Options", "Watch", "run_tune"]

DEFAULT_SEED = 0

FEW = 100
"""Questions below which the figures of a threshold move much from one set to the next."""

_OF = {"precision": " of what questions with an answer get"}
"""What a figure is a share of, where its name does not say so."""

Watch = Callable[[str, int, int], None]
"""Told what is being done, how many steps of it are done, and of how many (0 when unknown)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is wanted.

    Attributes:
        objective: See `parse_objective`; ``None`` takes ``f1`` with labels, else ``balanced`` where others are asked,
            else chooses nothing.
        limit: Most memories of a request, in place of the decision's.
        sample: Most questions to take of the data, ≥ 1; ``None`` for all.
        seed: What they are drawn by.
        ask_others: Whether queries of traffic are also asked of the memory of the next user in the file.
    """

    objective: str | None = None
    limit: int | None = None
    sample: int | None = None
    seed: int = DEFAULT_SEED
    ask_others: bool = False


async def run_tune(
    data: Path,
    decision: str,
    *,
    config: Path | None = None,
    options: Options | None = None,
    watch: Watch = lambda stage, done, total: None,
) -> TuneReport:
    """Asks the questions of a file under a decision's policy and counts what every threshold would inject.

    Conversations are loaded into a temporary store; traffic is asked of the configured one, which is only read.

    Args:
        data: See docs/cli.md for its forms.
        decision: Must be in the configuration and read memory.
        config: ``None`` takes the default configuration.
        options: What else is wanted.
        watch: Told how far it is.

    Raises:
        InvalidRequest: The data, the decision or an option is wrong; of the data, the message names the line.
        ConfigError: The configuration is wrong.
        EmbeddingError, BackendError: Model or store failed.
    """
    options = options or Options()
    file = config or default_config_file()
    loaded = load_config(file)
    policy = _policy(loaded, decision)
    recall = (
        policy.recall if options.limit is None else replace(policy.recall, limit=arguments.page_limit(options.limit))
    )
    objective = None if options.objective is None else parse_objective(options.objective)
    if options.sample is not None and options.sample < 1:
        raise InvalidRequest(f"--sample must be at least 1, not {options.sample}", field="sample")
    make = from_traffic if is_traffic(data) else from_conversations
    async with make(data, file, loaded, options, watch) as material:
        objective = _objective(objective, material)
        points, current = await _swept(material, policy, recall, loaded, watch)
        warnings = material.assembly.warnings
    alike = indifferent(points, objective)
    chosen = None if objective is None or alike else choose(points, objective, current)
    questions = Counter(case.kind for case in material.cases)
    return TuneReport(
        data=str(data),
        config=str(file),
        form=material.form,
        decision=decision,
        mode=recall.mode,
        limit=recall.limit,
        rules=_rules(loaded, recall),
        questions={kind.value: questions[kind] for kind in Kind if questions[kind]},
        users=len({case.scope.user_id for case in material.cases}),
        memories=material.memories,
        sample=options.sample,
        seed=options.seed,
        points=points,
        current=current,
        objective="" if objective is None else str(objective),
        chosen=chosen,
        unmet="" if chosen is not None else _unmet(points, objective, alike),
        yaml="" if chosen is None or objective is None else _yaml(loaded, file, decision, chosen, recall, objective),
        notes=(*material.notes, *_few(questions), *warnings),
    )


def _policy(config: Config, decision: str) -> DecisionPolicy:
    if decision not in config.decisions:
        known = ", ".join(config.decisions) or "none"
        raise InvalidRequest(
            f"the configuration has no decision {decision!r}", field="decision", hint=f"it has: {known}"
        )
    policy = config.policy(decision)
    if not policy.enabled:
        raise InvalidRequest(
            f"the decision {decision!r} reads no memory, so there is nothing to tune",
            field="decision",
            hint="set enabled: true for it",
        )
    return policy


def _rules(config: Config, recall: RecallPolicy) -> tuple[CutoffRule, ...]:
    """The fixed threshold, and the rule that raises it where the configuration asks for that or would."""
    raising = CutoffRule(config.memory.recall.adaptive_rule) if recall.cutoff is CutoffRule.FIXED else recall.cutoff
    return CutoffRule.FIXED, raising


def _objective(wanted: Objective | None, material: Material) -> Objective | None:
    """The objective that was named, or the one that suits the data.

    Raises:
        InvalidRequest: The data cannot serve the one that was named.
    """
    kinds = {case.kind for case in material.cases}
    labelled = Kind.ANSWERABLE in kinds
    judged = bool(kinds & {Kind.UNANSWERABLE, Kind.OTHERS}) and bool(kinds & {Kind.ANSWERABLE, Kind.UNLABELLED})
    if wanted is None:
        return Objective("f1") if labelled else Objective("balanced") if judged else None
    if wanted.name in ("f1", "precision", "recall") and not labelled:
        raise InvalidRequest(
            f"--objective {wanted} needs data that say what is relevant",
            field="objective",
            hint="give the lines 'relevant', or take tokens=N",
        )
    if wanted.name == "balanced" and not judged:
        raise InvalidRequest(
            "--objective balanced needs questions that should get nothing",
            field="objective",
            hint="label some, or ask other users' memories too with --ask-others",
        )
    return wanted


async def _swept(
    material: Material, policy: DecisionPolicy, recall: RecallPolicy, config: Config, watch: Watch
) -> tuple[tuple[Point, ...], Point]:
    now = Setting(recall.cutoff, recall.threshold)
    sweep = Sweep(settings(_rules(config, recall), now), material.key)
    for done, case in enumerate(material.cases):
        watch("asking", done, len(material.cases))
        shortlist = await material.assembly.recall.shortlist(
            case.scope, case.query, recall, reflection=policy.reflection, now=material.now
        )
        sweep.add(case, shortlist)
    watch("asking", len(material.cases), len(material.cases))
    points = sweep.points()
    return points, next(one for one in points if (one.rule, one.threshold) == (now.rule, now.threshold))


def _yaml(config: Config, file: Path, decision: str, chosen: Point, recall: RecallPolicy, objective: Objective) -> str:
    notes = [f"router-memory tune --objective {objective}: {objective.meaning}"]
    figures = {"precision": chosen.precision, "recall": chosen.recall, "silence": chosen.silence}
    known = [f"{name} {value:.2f}{_OF.get(name, '')}" for name, value in figures.items() if value is not None]
    notes.append(", ".join([*known, f"{chosen.tokens:.0f} tokens a request"]) + " on the data it was chosen on")
    if chosen.rule is CutoffRule.FIXED:
        notes.append("the threshold is used as it is: adaptive_threshold is off")
    else:
        notes.append(f"the threshold is raised by global.stores.memory.recall.adaptive_rule: {chosen.rule.value}")
    return snippet(
        decision, configured_plugin(file, decision), chosen, limit=recall.limit, mode=recall.mode, notes=notes
    )


def _unmet(points: Sequence[Point], objective: Objective | None, alike: str) -> str:
    if alike:
        return f"nothing can be recommended: {alike}"
    return "" if objective is None else unmet(points, objective)


def _few(questions: Mapping[Kind, int]) -> Sequence[str]:
    number = sum(questions[kind] for kind in questions if kind is not Kind.OTHERS)
    if number >= FEW:
        return ()
    return (f"{number:,} questions are few: expect the figures to be other ones on the next {number:,}",)
