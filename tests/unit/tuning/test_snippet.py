"""What is printed can be pasted, and means what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from router_memory.config import load_config
from router_memory.tuning.configured import configured_plugin, without_cache
from router_memory.tuning.snippet import snippet
from router_memory.types import CutoffRule, RankingMode
from tests.unit.tuning.test_objective import point

FILE = """
global: {stores: {memory: {enabled: true, adaptive_threshold: true, redis_cache: {enabled: true}}}}
routing:
  decisions:
    - name: "näher: #1"
      plugins:
        - {type: other, configuration: {x: 1}}
        - type: memory
          configuration:
            auto_store: false
            similarity_threshold: 0.5
            reflection: {block_patterns: ['(?i)\\bpassword\\b', '${PATTERN:-x}']}
    - name: bare
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.mark.parametrize("mode", RankingMode)
@pytest.mark.parametrize("rule", CutoffRule)
def test_it_is_a_configuration_with_the_policy_that_was_chosen(file: Path, mode: RankingMode, rule: CutoffRule) -> None:
    decision = "näher: #1"
    configured = configured_plugin(file, decision)
    chosen = replace(point(0.63), rule=rule)
    text = snippet(decision, configured, chosen, limit=7, mode=mode, notes=["one\nline", "two"])
    assert text.startswith("# one line\n# two\nrouting:\n")
    alone = file.with_name("alone.yaml")
    alone.write_text(text, encoding="utf-8")
    policy = load_config(alone).policy(decision)
    assert (policy.recall.limit, policy.recall.threshold, policy.recall.mode) == (7, 0.63, mode)
    assert (policy.recall.cutoff is CutoffRule.FIXED) is (rule is CutoffRule.FIXED)
    assert policy.auto_store is False


def test_what_is_not_tuned_stays_as_it_is_written(file: Path) -> None:
    text = snippet(
        "näher: #1", configured_plugin(file, "näher: #1"), point(0.6), limit=5, mode=RankingMode.DENSE, notes=()
    )
    plugin = yaml.safe_load(text)["routing"]["decisions"][0]["plugins"][0]["configuration"]
    assert plugin["reflection"] == {"block_patterns": [r"(?i)\bpassword\b", "${PATTERN:-x}"]}
    assert plugin["auto_store"] is False


def test_a_decision_without_a_plugin_has_none(file: Path) -> None:
    assert configured_plugin(file, "bare") == {}


def test_only_the_cache_is_taken_away(file: Path) -> None:
    config = load_config(file)
    bare = without_cache(config)
    assert (config.memory.redis_cache.enabled, bare.memory.redis_cache.enabled) == (True, False)
    assert bare.data_path == config.data_path
    assert bare.policy("näher: #1") == config.policy("näher: #1")
