"""Whether a service is ready, as probes and the dashboard are told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from router_memory.types import CheckStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.service import Service
    from router_memory.types import Finding

__all__ = ["PROBE_SECONDS", "readiness"]

PROBE_SECONDS = 0.8
"""What the store has to answer a probe; kubelet's default for the whole probe is a second."""

_log = logging.getLogger("router_memory.http")


async def readiness(service: Service) -> dict[str, Any]:
    """``ready``, ``draining`` and the checks, each with ``name``, ``ok`` and ``detail``. Raises nothing."""
    if not service.opened:
        return {"ready": False, "draining": service.draining, "checks": []}
    findings = await service.generation.memory.ready(PROBE_SECONDS)
    _tell(service, findings)
    checks = [_check(finding) for finding in findings]
    ready = not service.draining and all(check["ok"] for check in checks)
    return {"ready": ready, "draining": service.draining, "checks": checks}


def _check(finding: Finding) -> dict[str, Any]:
    detail = f"{finding.finding}; {finding.advice}" if finding.advice else finding.finding
    return {"name": finding.name, "ok": finding.status is not CheckStatus.FAIL, "detail": detail}


def _tell(service: Service, findings: Sequence[Finding]) -> None:
    """Notes in the timeline when the store goes or comes back, though nobody may be asking it anything."""
    for finding in findings:
        if finding.name == "store":
            service.telemetry.store(away=finding.status is CheckStatus.FAIL)
