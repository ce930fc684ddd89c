"""Which runtime is taken, by what is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

from router_memory.backends.bert import check_runtime, resolve, runtimes
from router_memory.errors import InvalidRequest, MissingExtra


def install(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Makes these packages the ones that are installed."""

    def of(package: str) -> str:
        if package not in versions:
            raise PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(runtimes, "version", of)


def test_auto_takes_onnx_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives torch's vectors, faster."""
    install(monkeypatch, onnxruntime="1.28.0", usearch="2.26.1")
    assert [resolve(name) for name in ("auto", "torch", "onnx", "onnx-int8")] == ["onnx", "torch", "onnx", "onnx-int8"]


@pytest.mark.parametrize(
    ("installed", "why"),
    [
        ({}, "not installed"),
        ({"onnxruntime": "1.29.0"}, "below 1.29"),
        ({"onnxruntime": "1.19.2"}, "from 1.20"),
        ({"onnxruntime": "1.28.0", "usearch": "2.26.6"}, "breaks onnxruntime"),
    ],
)
def test_without_one_that_works_auto_takes_torch(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], why: str
) -> None:
    """Who asked for onnx is told the pip line."""
    install(monkeypatch, **installed)
    assert resolve("auto") == resolve("torch") == "torch"
    for name in ("onnx", "onnx-int8"):
        with pytest.raises(MissingExtra, match=r"pip install 'router-memory\[onnx\]'") as caught:
            resolve(name)
        assert why in str(caught.value)


def test_the_versions_installed_here_work_together() -> None:
    """The lock files have onnxruntime, so tests do not fall back to torch unnoticed."""
    assert runtimes.why_not_onnx() == "", (version("onnxruntime"), version("usearch"))


def test_an_unknown_runtime_is_refused() -> None:
    """With the known ones."""
    with pytest.raises(InvalidRequest, match="onnx-int8") as caught:
        check_runtime("tensorrt")
    assert caught.value.field == "runtime"
