"""The error tree. Everything this package raises on purpose derives from `RouterMemoryError`.

    RouterMemoryError
    ├── ConfigError            a configuration file is wrong: names file and key path
    ├── InvalidRequest         (also ValueError) an argument is wrong; nothing was changed
    ├── BackendError           a store failed: names backend and operation
    │   ├── BackendUnavailable retryable: the store cannot be reached or used right now
    │   │   └── BackendTimeout the store did not answer in time; a write's outcome is unknown
    │   ├── BackendRejected    the store answered no: full or read-only disk, corrupt file, no rights
    │   └── IndexMismatch      the data were written with another dimension, metric or embedder
    ├── EmbeddingError         the embedding model failed to load or to encode
    ├── NotAuthenticated       who is asking could not be verified: no credential, a bad one, or two
    ├── NotPermitted           who is asking is known, and may not do this
    ├── SyncCallInLoop         (also RuntimeError) a blocking call was made on a running event loop
    └── MissingExtra           (also ImportError) an optional dependency is not installed

`hint` says what an operator can do about it; it is printed behind the message and never
holds user content.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "BackendRejected",
    "BackendTimeout",
    "BackendUnavailable",
    "ConfigError",
    "EmbeddingError",
    "IndexMismatch",
    "InvalidRequest",
    "MissingExtra",
    "NotAuthenticated",
    "NotPermitted",
    "RouterMemoryError",
    "SyncCallInLoop",
]


class RouterMemoryError(Exception):
    """Base of every error of this package.

    Args:
        message: One sentence that says what is wrong.
        hint: What to do about it; empty when there is nothing to add.
    """

    retryable = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(RouterMemoryError):
    """A configuration file cannot be used.

    Args:
        message: What is wrong with the value.
        file: Path of the file, or a name such as ``<dict>`` for one that came as an object.
        key_path: Dotted path of the key, e.g. ``global.stores.memory.backend``; empty for the whole file.
        hint: The nearest valid key, the range allowed, or similar.
    """

    def __init__(self, message: str, *, file: str = "", key_path: str = "", hint: str = "") -> None:
        where = ": ".join(part for part in (file, key_path) if part)
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.file = file
        self.key_path = key_path


class InvalidRequest(RouterMemoryError, ValueError):
    """An argument is outside what the call accepts. Nothing was changed.

    Args:
        field: Name of the argument.
    """

    def __init__(self, message: str, *, field: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class BackendError(RouterMemoryError):
    """A store failed.

    Args:
        backend: Name of the backend, e.g. ``embedded``.
        operation: What was being done, e.g. ``add``.
    """

    def __init__(self, message: str, *, backend: str, operation: str, hint: str = "") -> None:
        super().__init__(f"{backend} {operation}: {message}", hint=hint)
        self.backend = backend
        self.operation = operation


class BackendUnavailable(BackendError):
    """The store cannot be reached or used right now; the same call may work later."""

    retryable = True


class BackendTimeout(BackendUnavailable):
    """The store did not answer in time. Whether a write took effect is unknown."""


class BackendRejected(BackendError):
    """The store understood and refused; the same call will be refused again until somebody acts."""


class IndexMismatch(BackendError):
    """The stored data do not fit this configuration; nothing was read or changed.

    Args:
        expected: What the configuration asks for, e.g. the embedder's fingerprint.
        found: What the data were written with.
    """

    def __init__(
        self, message: str, *, backend: str, operation: str, expected: str, found: str, hint: str = ""
    ) -> None:
        super().__init__(message, backend=backend, operation=operation, hint=hint)
        self.expected = expected
        self.found = found


class EmbeddingError(RouterMemoryError):
    """The embedding model could not be loaded, or failed to encode a text."""


class NotAuthenticated(RouterMemoryError):
    """Who is asking could not be verified. The message holds nothing of what was shown."""


class NotPermitted(RouterMemoryError):
    """Who is asking is known, and this credential does not allow it."""


class SyncCallInLoop(RouterMemoryError, RuntimeError):
    """A blocking call was made where an event loop is running; the message names the async one."""


class MissingExtra(RouterMemoryError, ImportError):
    """An optional dependency is missing; the message holds the exact pip line."""

    def __init__(self, feature: str, *, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'router-memory[{extra}]'")
        self.extra = extra
