"""The sessions of one graph: a narrow one at once, and a wide one as soon as it is worth opening."""

from __future__ import annotations

import importlib
import logging
import threading
from typing import TYPE_CHECKING

import numpy as np

from router_memory.backends.bert.onnx.widths import Widths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    Features = Mapping[str, NDArray[np.int64]]

__all__ = ["Sessions", "open_session", "quiet_onnxruntime", "wait_for_wide"]

_log = logging.getLogger("router_memory.bert")

_PASSES_BEFORE = 8
"""The pass that has the wide session opened. A command that embeds one text makes three, two of them while it loads."""
_TOLERANCE = 1e-6
"""How far apart components of the two sessions' vectors may be. In fact they are the same bits."""
_THREAD = "router-memory-wide"


class Sessions:
    """Runs a graph, on whichever of its sessions is faster; for any number of threads.

    The wide session is opened on a thread of its own. That thread is waited for at the interpreter's end, as no thread
    may be in onnxruntime then; it has nothing to wait for itself. onnxruntime (1.28) does not let other threads of
    Python run while it opens a session: 30 to 45 ms for MiniLM in full precision, 10 to 15 ms for int8, once.

    Args:
        narrow: The session that is always there.
        widths: Chooses.
    """

    def __init__(self, narrow: InferenceSession, widths: Widths | None = None) -> None:
        self._narrow = narrow
        self._widths = widths or Widths()
        self._wide: InferenceSession | None = None
        self._open: Callable[[], InferenceSession] | None = None
        self._probe: Features = {}
        self._left = 0
        self._lock = threading.Lock()

    def widen(
        self, open_wide: Callable[[], InferenceSession], probe: Features, *, passes: int = _PASSES_BEFORE
    ) -> None:
        """Has a wide session opened as so many more passes are begun. Where that fails a warning is logged, once.

        Args:
            open_wide: Opens it; runs on a thread of its own and may raise anything.
            probe: Inputs for which both sessions must give the same vectors.
            passes: ≥ 1.
        """
        with self._lock:
            self._open, self._probe, self._left = open_wide, probe, passes

    @property
    def widened(self) -> bool:
        """Whether there is a wide session now."""
        return self._wide is not None

    def run(self, features: Features) -> NDArray[np.float32]:
        """The vectors of sequences, shape (sequences, dimension).

        Args:
            features: The graph's inputs, each of shape (sequences, tokens).

        Raises:
            Exception: Whatever onnxruntime raises for the narrow session. A wide one that fails is not used again.
        """
        if self._open is not None:
            self._count()
        wide = self._wide
        taken = self._widths.begin(next(iter(features.values())).size, choose=wide is not None)
        session = self._narrow if wide is None or not taken.wide else wide
        done = False
        try:
            rows = _run(session, features)
            done = wide is not None
        except Exception as error:
            if session is self._narrow:
                raise
            rows = _run(self._narrow, features)  # where it fails as well, the inputs are to blame
            self._wide = None
            _say(f"a pass failed: {type(error).__name__}")
        finally:
            self._widths.end(taken, observe=done)
        return rows

    def _count(self) -> None:
        """Opens the wide session when its time has come."""
        with self._lock:
            self._left -= 1
            if self._left or self._open is None:
                return
            open_wide, self._open = self._open, None
        try:
            threading.Thread(target=self._widen, args=(open_wide,), name=_THREAD).start()
        except RuntimeError as error:  # no more threads, or the interpreter ends
            _say(f"{type(error).__name__}: {error}")

    def _widen(self, open_wide: Callable[[], InferenceSession]) -> None:
        """Runs on a thread of its own. The probe warms the session up, too."""
        try:
            wide = open_wide()
            apart = float(np.abs(_run(wide, self._probe) - _run(self._narrow, self._probe)).max())
        except Exception as error:  # noqa: BLE001 - of onnxruntime, of many kinds, some of no public class
            _say(f"{type(error).__name__}: {error}")
            return
        if apart <= _TOLERANCE:  # not so for what is no number
            self._wide = wide
        else:
            _say(f"its vectors differ by {apart:.1e}")


def _run(session: InferenceSession, features: Features) -> NDArray[np.float32]:
    (vectors,) = session.run(None, features)
    rows: NDArray[np.float32] = vectors
    return rows


def _say(why: str) -> None:
    _log.warning("the embedding model runs on its usual threads alone: %s", why)


def wait_for_wide() -> None:
    """Waits for wide sessions that are being opened in this process: for who measures."""
    for thread in threading.enumerate():
        if thread.name == _THREAD:
            thread.join()


def quiet_onnxruntime() -> ModuleType:
    """Imports onnxruntime and has it send nothing to its maker, which some builds do. Before a session is made."""
    onnxruntime = importlib.import_module("onnxruntime")
    disable = getattr(onnxruntime, "disable_telemetry_events", None)
    if disable is not None:
        disable()
    return onnxruntime


def open_session(graph: Path, threads: int, *, spinning: bool = False) -> InferenceSession:
    """Opens a graph on the CPU. Raises whatever onnxruntime raises where the file is no good.

    Args:
        graph: The file.
        threads: How many it computes on, the caller's included, ≥ 1.
        spinning: Whether they wait for each other without sleeping. Between passes they sleep in any case.
    """
    onnxruntime = quiet_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    if spinning:
        options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3  # errors, which are raised as well
    session: InferenceSession = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return session
