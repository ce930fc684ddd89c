"""Errors on their way from one process to another: what says the same there, and means the same exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_memory.errors import (
    BackendError,
    BackendRejected,
    BackendUnavailable,
    ConfigError,
    EmbeddingError,
    InvalidRequest,
    RouterMemoryError,
)

__all__ = ["carried", "revived"]

_PLAIN: Mapping[str, type[RouterMemoryError]] = {
    kind.__name__: kind for kind in (ConfigError, InvalidRequest, EmbeddingError)
}
_OF_BACKEND: Mapping[str, type[BackendError]] = {kind.__name__: kind for kind in (BackendUnavailable, BackendRejected)}


def carried(error: Exception) -> dict[str, Any]:
    """The error as JSON. Of one that is not ours only its class is told: its text may hold anything."""
    if not isinstance(error, RouterMemoryError):
        return {"kind": "", "message": f"unexpected {type(error).__name__}; the log has the traceback", "hint": ""}
    message = error.message
    fields: dict[str, Any] = {"hint": error.hint}
    kind = next((each.__name__ for each in type(error).__mro__ if each.__name__ in {*_PLAIN, *_OF_BACKEND}), "")
    if isinstance(error, BackendError):
        fields |= {"backend": error.backend, "operation": error.operation}
        message = message.removeprefix(f"{error.backend} {error.operation}: ")
    return {"kind": kind, "message": message, **fields}


def revived(error: Mapping[str, Any]) -> RouterMemoryError:
    """An error of the same meaning and message, of the nearest class that another process can make."""
    message, hint = str(error.get("message")), str(error.get("hint", ""))
    backend = str(error.get("backend", ""))
    if (kind := _PLAIN.get(str(error.get("kind")))) is not None:
        return kind(message, hint=hint)
    if backend:
        of_backend = _OF_BACKEND.get(str(error.get("kind")), BackendError)
        return of_backend(message, backend=backend, operation=str(error.get("operation")), hint=hint)
    return RouterMemoryError(message, hint=hint)
