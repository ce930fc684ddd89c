"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Caller"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, as far as it was verified.

    Attributes:
        user_id: The user; ``None`` for a request without a credential, and for a credential that stands for
            several users on a request that names none of them.
        admin: Whether operators' routes are open to it.
        how: ``header``, ``jwt``, ``api_key``, ``admin_key``, ``development`` or ``anonymous``. Safe as a metric label.
        credential: The request header that carried the credential, in lower case; empty if none did. What it holds is
            for this service alone and must not be passed on.
    """

    user_id: str | None
    admin: bool = False
    how: str = "anonymous"
    credential: str = ""
