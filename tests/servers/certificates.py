"""Certificates for tests of TLS, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.servers.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority", "Pair", "tls_config"]

_DAYS = "2"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority of its own.

    Args:
        folder: Where its files go.
        name: Its name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl command to make certificates with: install openssl")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        self.pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS, "-subj", f"/CN={name}"),
            *("-keyout", str(self.pair.key), "-out", str(self.pair.certificate)),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def issue(self, name: str, *, names: str = "IP:127.0.0.1,DNS:localhost") -> Pair:
        """A certificate signed by this authority.

        Args:
            name: Its common name, and the stem of its files.
            names: Its alternative names, as openssl writes them.
        """
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"basicConstraints=CA:FALSE\nsubjectAltName={names}\n")
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(pair.key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-days", _DAYS, "-in", str(request), "-out", str(pair.certificate)),
            *("-CA", str(self.pair.certificate), "-CAkey", str(self.pair.key), "-CAcreateserial"),
            *("-extfile", str(extensions)),
        )
        return pair


def tls_config(authority: Authority, *, clients: str = "no") -> dict[str, str]:
    """Directives of a server that has a certificate of this authority, on a port of its own for TLS.

    Args:
        authority: Who vouches for it, and for its clients.
        clients: Whether those must have a certificate: ``yes`` or ``no``.
    """
    pair = authority.issue("server")
    return {
        "tls-port": str(free_port()),
        "tls-cert-file": str(pair.certificate),
        "tls-key-file": str(pair.key),
        "tls-ca-cert-file": str(authority.pair.certificate),
        "tls-auth-clients": clients,
    }


def _openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True)
