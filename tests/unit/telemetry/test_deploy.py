"""The dashboard and the alert rules ask for nothing that the service does not tell, and the page names all it tells."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from router_memory.plugin.writes import Receipt
from router_memory.telemetry import Telemetry
from router_memory.types import CacheLevel, WriteResult, WriteStatus
from tests.unit.conftest import Opener
from tests.unit.telemetry.reading import families_of, injected

ROOT = Path(__file__).parents[3]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/router-memory.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
PAGE = (ROOT / "docs/observability.md").read_text()

PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
ASKED = [
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
    *((rule["alert"], rule["expr"]) for rule in RULES),
    *(
        (variable["name"], variable["definition"])
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    ),
]
METRIC = re.compile(r"llm_memory_[a-z0-9_]+")
SELECTED = re.compile(r"(llm_memory_[a-z0-9_]+)\{([^}]*)\}")
GROUPED = re.compile(r"by \(([^)]*)\)")
OF_PROMETHEUS = {"job", "instance", "le"}


@pytest.fixture
async def told(opened: Opener) -> dict[str, set[str]]:
    """Every sample that is told once everything has happened, with the names of its labels."""
    telemetry = Telemetry()
    async with opened(redis_cache={"enabled": True}) as memory:
        telemetry.watch(memory)
        await memory.on_request(decision="wide", user_id="u1", messages=[{"role": "user", "content": "Which tree?"}])
        telemetry.request(injected(cache=CacheLevel.LOCAL), interface="chat")
        telemetry.receipt(Receipt([WriteResult(WriteStatus.STORED)]))
        telemetry.operation("search", 0.01, status="ok", results=1)
        telemetry.upstream(status="200", seconds=1.0, first_byte=0.1)
        telemetry.begin(method="GET").end(route="/livez", status=200)
        telemetry.timeline.note("started")
        found = families_of(telemetry)
    await telemetry.close()
    return found


async def test_everything_that_is_asked_for_is_told(told: dict[str, set[str]]) -> None:
    assert len(ASKED) > 40
    missing = {(title, metric) for title, expr in ASKED for metric in METRIC.findall(expr) if metric not in told}
    assert missing == set()


async def test_labels_that_are_asked_for_are_there(told: dict[str, set[str]]) -> None:
    wrong = set()
    for title, expr in ASKED:
        for metric, matchers in SELECTED.findall(expr):
            names = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
            wrong |= {(title, metric, name) for name in names - told[metric] - OF_PROMETHEUS}
        labels = set().union(*(told[metric] for metric in METRIC.findall(expr)))
        for names_listed in GROUPED.findall(expr):
            grouped = {name.strip() for name in names_listed.split(",")}
            wrong |= {(title, "by", name) for name in grouped - labels - OF_PROMETHEUS}
    assert wrong == set()


async def test_every_metric_is_described(told: dict[str, set[str]]) -> None:
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name in told}
    assert {name for name in names if f"`{name}" not in PAGE} == set()
    assert set(METRIC.findall(PAGE)) - names - {"llm_memory_"} == set()


def test_expressions_are_balanced() -> None:
    for title, expr in ASKED:
        for opening, closing in ("()", "{}", "[]"):
            assert expr.count(opening) == expr.count(closing), title


def test_the_dashboard_is_of_a_schema_that_grafana_10_reads() -> None:
    """As in Grafana's dashboard model: https://grafana.com/docs/grafana/v10.0/dashboards/build-dashboards/."""
    assert DASHBOARD["schemaVersion"] == 38
    assert DASHBOARD["id"] is None  # given by whoever imports it
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", DASHBOARD["uid"])
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert panel["type"] in ("row", "timeseries", "stat")
        assert panel["title"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert place["h"] >= 1
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert set(panel["fieldConfig"]) == {"defaults", "overrides"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0


def test_no_panel_covers_another() -> None:
    def covered(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        return set(itertools.product(across, down))

    for one, other in itertools.combinations(DASHBOARD["panels"], 2):
        assert not covered(one) & covered(other), (one["title"], other["title"])


def test_the_data_source_is_chosen_by_who_looks() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    sources = {json.dumps(panel["datasource"]) for panel in PANELS}
    sources |= {json.dumps(target["datasource"]) for panel in PANELS for target in panel["targets"]}

    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert [json.loads(source) for source in sources] == [{"type": "prometheus", "uid": "${datasource}"}]


@pytest.mark.parametrize(
    "asked",
    [
        "request_seconds",
        "stage_seconds",
        "cache_hits_total",
        "write_queue_turns",
        "writes_total",
        "upstream_seconds",
        'status="5xx"',
        "by (decision)",
    ],
)
def test_the_dashboard_shows(asked: str) -> None:
    assert [panel["title"] for panel in PANELS if any(asked in target["expr"] for target in panel["targets"])]


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_how_bad_it_is_and_what_it_means(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert f"`{rule['alert']}`" in PAGE
