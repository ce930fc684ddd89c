"""docs/valkey.md names every key, every error an operator can act on, and every right the store needs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from router_memory.backends.valkey.translate import _MEANINGS
from router_memory.config import load_config
from router_memory.config.servers import ValkeySection
from router_memory.types import REACHABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "valkey.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").split("## Where data are")[0]
BACKEND = ROOT / "router_memory" / "backends" / "valkey"
PYTHON = "".join(path.read_text() for path in sorted(BACKEND.rglob("*.py")))
OF_THE_CACHE = {"fill.lua", "purge.lua"}
LUA = "".join(path.read_text() for path in sorted(BACKEND.rglob("*.lua")) if path.name not in OF_THE_CACHE)
_DEFECT = "please report"


def _messages(source: str) -> list[str]:
    """The texts of a module but for its docstrings, what is filled in being an ellipsis; neighbours are one text."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            texts.append(node.value)
    return [text for text in texts if text not in docstrings]


MESSAGES = [text for path in sorted(BACKEND.rglob("*.py")) for text in _messages(path.read_text(encoding="utf-8"))]


def first_cells(section: str) -> list[str]:
    cells = re.findall(r"^\| (`.*?) \|", SECTIONS[section], re.MULTILINE)
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


def test_the_table_has_every_key_once_and_no_other() -> None:
    assert sorted(first_cells("Every key")) == sorted(ValkeySection.model_fields)


@pytest.mark.parametrize("text", first_cells("Troubleshooting"))
def test_an_error_text_is_one_of_the_code(text: str) -> None:
    """An operator searches for what the screen says; what differs each time is an ellipsis."""
    assert unknown_parts(text) == []


def unknown_parts(text: str) -> list[str]:
    """Those parts of a text, between its ellipses, that no message of the code holds as whole words."""
    parts = [part.strip() for part in text.split("…")]
    known = [part for part in parts if part and any(_holds(message, part) for message in MESSAGES)]
    return [part for part in parts if part and part not in known] + ([] if any(parts) else [text])


def _holds(message: str, part: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", message) is not None


@pytest.mark.parametrize(
    "text", ["", "…", " … ", "no such thing", "o connection to the serve", "async def", "is … def"]
)
def test_a_text_that_no_message_has_is_noticed(text: str) -> None:
    """Neither a piece of a word, nor code, nor nothing."""
    assert unknown_parts(text) != []


@pytest.mark.parametrize(
    "says", [meaning.says for meaning in _MEANINGS if meaning.hint and _DEFECT not in meaning.hint]
)
def test_an_error_that_somebody_can_mend_is_explained(says: str) -> None:
    assert says in SECTIONS["Troubleshooting"]


@pytest.mark.parametrize(
    ("backend", "check"),
    [
        *(("valkey", check) for check in first_cells("Is all well?")),
        *(("embedded", check) for check in re.findall(r"^\| `([a-z ]+)` \| ", OPERATIONS, re.MULTILINE)),
    ],
)
def test_a_check_of_the_doctor_is_one_of_the_code(backend: str, check: str) -> None:
    code = (BACKEND.parent / backend / "examine.py").read_text(encoding="utf-8")
    assert f'"{check}"' in code or check == REACHABLE or f"_{check}(self)" in code


def test_the_least_rights_are_those_the_store_uses() -> None:
    granted = {right.upper() for right in re.findall(r"\+([a-z._|]+)", SECTIONS["Least rights"].split("```")[1])}
    used = set(re.findall(r"redis\.call\('([A-Z]+)'", LUA))
    used |= set(
        re.findall(
            r"\"(FT\.[_A-Z]+|EVAL|EVALSHA|INFO|UNLINK|EXISTS"
            r"|[HZ](?:GET|SET|MGET|GETALL|DEL|ADD|REM|RANGE|CARD|SCORE))\"",
            PYTHON,
        )
    )
    assert used <= granted
    assert granted - used == {"SCAN"}  # sent by a method of the client


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_an_example_is_a_valid_configuration(example: str, tmp_path: Path) -> None:
    document = yaml.safe_load(example)
    if "global" not in document:
        document = {"global": {"stores": {"memory": {"enabled": True, "backend": "valkey", **document}}}}
    section = document["global"]["stores"]["memory"]["valkey"]
    if "password_file" in section:
        section["password_file"] = str(tmp_path / "password")
        (tmp_path / "password").write_text("secret")
    assert load_config(document, environ={"VALKEY_PASSWORD": "secret"}).warnings == ()
