"""Tuning: what a decision would inject at every threshold, measured on an operator's own data. Renders nothing."""

from __future__ import annotations

from router_memory.tuning.cases import Kind
from router_memory.tuning.objective import Objective, choose, parse_objective
from router_memory.tuning.report import TuneReport
from router_memory.tuning.run import run_tune
from router_memory.tuning.sweep import Point, Setting, Sweep

__all__ = ["Kind", "Objective", "Point", "Setting", "Sweep", "TuneReport", "choose", "parse_objective", "run_tune"]
