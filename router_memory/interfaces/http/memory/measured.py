"""Operations are counted and timed, whatever becomes of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from router_memory.errors import BackendUnavailable, InvalidRequest, NotAuthenticated, NotPermitted
from router_memory.interfaces.http.errors import ApiError
from router_memory.service import Service

__all__ = ["Measured", "measured"]

_NOT_FOUND = 404


@dataclass(slots=True)
class Measured:
    """What an operation tells of itself; `results` is how many memories were found."""

    results: int | None = None


@contextmanager
def measured(service: Service, operation: str) -> Iterator[Measured]:
    """Reports the operation when the context ends.

    Args:
        service: Whose telemetry is told.
        operation: search, add, list, get, update, forget, export or import.
    """
    told, began, status = Measured(), time.perf_counter(), "error"
    try:
        yield told
        status = "ok"
    except ApiError as error:
        status = "not_found" if error.status == _NOT_FOUND else "invalid"
        raise
    except (InvalidRequest, NotAuthenticated, NotPermitted):
        status = "invalid"
        raise
    except BackendUnavailable:
        status = "unavailable"
        raise
    finally:
        service.telemetry.operation(operation, time.perf_counter() - began, status=status, results=told.results)
