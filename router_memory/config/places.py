"""Where files named in a configuration lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from router_memory.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Places"]

_DATA_FILE = Path("router-memory", "memory.db")
_PEM = b"-----BEGIN "


@dataclass(frozen=True, slots=True)
class Places:
    """Resolves paths against the configuration file's folder and the user's home.

    Attributes:
        file: The configuration file, for messages.
        folder: What relative paths are relative to.
        home: ``$HOME``; empty to ask the system.
        data_home: ``$XDG_DATA_HOME``; empty or relative for the standard's default.
    """

    file: str
    folder: Path
    home: str = ""
    data_home: str = ""

    @classmethod
    def of(cls, file: str, folder: Path, environ: Mapping[str, str]) -> Places:
        """Takes the home folders from the environment."""
        return cls(file, folder, environ.get("HOME", ""), environ.get("XDG_DATA_HOME", ""))

    def path(self, text: str, key_path: str) -> Path:
        """The absolute path that `text` names: ``~`` expands, a relative one starts at the file's folder."""
        if text == "~" or text.startswith("~/"):
            return self._home(key_path) / text[2:]
        try:
            return self.folder / Path(text).expanduser()
        except RuntimeError:
            raise ConfigError("names the home of an unknown user", file=self.file, key_path=key_path) from None

    def data_file(self, text: str, key_path: str) -> Path:
        """The embedded store's file; when `text` is empty, one in the user's data folder."""
        if text:
            return self.path(text, key_path)
        if Path(self.data_home).is_absolute():
            return Path(self.data_home) / _DATA_FILE
        return self._home(key_path) / ".local" / "share" / _DATA_FILE

    def secret(self, text: str, key_path: str) -> SecretStr:
        """The secret in the file that `text` names, without line ends at its end."""
        path, content = self.content(text, key_path)
        try:
            secret = content.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not UTF-8 text", file=self.file, key_path=key_path) from None
        if not secret:
            raise ConfigError(f"{path} is empty", file=self.file, key_path=key_path)
        return SecretStr(secret)

    def pem(self, text: str, key_path: str) -> bytes:
        """What stands in the PEM file that `text` names."""
        path, content = self.content(text, key_path)
        if _PEM not in content:
            raise ConfigError(f"{path} is no PEM file", file=self.file, key_path=key_path)
        return content

    def content(self, text: str, key_path: str) -> tuple[Path, bytes]:
        """The absolute path of the file that `text` names, and what stands in it."""
        path = self.path(text, key_path)
        try:
            return path, path.read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a path"
            raise ConfigError(f"{path} cannot be read: {reason}", file=self.file, key_path=key_path) from None

    def _home(self, key_path: str) -> Path:
        try:
            return Path(self.home) if self.home else Path.home()
        except RuntimeError:
            raise ConfigError(
                "this user has no home folder", file=self.file, key_path=key_path, hint="name an absolute path"
            ) from None
