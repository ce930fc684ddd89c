"""`Authenticator`: finds out who is asking."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from router_memory.config import Config
from router_memory.config.headers import is_loopback
from router_memory.errors import MissingExtra, NotAuthenticated
from router_memory.identity.api_keys import ApiKeys
from router_memory.identity.caller import Caller
from router_memory.identity.development import as_developer
from router_memory.identity.pages import check_no_page
from router_memory.identity.peers import Peers
from router_memory.identity.presented import API_KEY, AUTHORIZATION, Presented, bearer

if TYPE_CHECKING:
    from router_memory.identity.tokens import Tokens

__all__ = ["Authenticator"]

_NOBODY = Caller(None)


class Authenticator:
    """Finds out who is asking, by one configuration's rules. Immutable; a reload makes another one.

    Args:
        user_header: Name of the user header, in lower case.
        peers: Whose user header counts; ``None`` where nobody's does.
        admin_key: The operators' key; ``None`` without one.
        api_keys: ``None`` where API keys do not count.
        tokens: ``None`` where tokens do not count.
        beside_browsers: Whether browsers of this machine reach the service and its peers are not told apart, so that
            a user header must not come from a page.
        development: Whether everybody at this machine is anybody; the others are of no effect then.
    """

    def __init__(
        self,
        user_header: str,
        *,
        peers: Peers | None = None,
        admin_key: bytes | None = None,
        api_keys: ApiKeys | None = None,
        tokens: Tokens | None = None,
        beside_browsers: bool = False,
        development: bool = False,
    ) -> None:
        self._user_header = user_header.encode()
        self._peers = peers
        self._admin_digest = None if admin_key is None else sha256(admin_key).digest()
        self._api_keys = api_keys
        self._tokens = tokens
        self._beside_browsers = beside_browsers
        self._development = development
        self._takes_credentials = not (admin_key is None and api_keys is None and tokens is None)

    @classmethod
    def of(cls, config: Config, *, host: str | None = None, clock: Callable[[], float] = time.time) -> Authenticator:
        """Reads what `service.auth` names, and nothing again later.

        Args:
            config: Whose section counts.
            host: Address that is listened on, where it is not the configuration's (any more).
            clock: Seconds since 1970, for when API keys expire and how long verified tokens are remembered.

        Raises:
            ConfigError: A file is missing, unreadable or wrong.
            MissingExtra: Tokens are to be verified, and the library for that is not installed.
        """
        auth, admin_key = config.service.auth, config.admin_key()
        modes = auth.modes
        return cls(
            config.identity.user_header,
            peers=Peers(auth.trusted_peers) if "header" in modes else None,
            admin_key=None if admin_key is None else admin_key.get_secret_value().encode(),
            api_keys=ApiKeys.read(*config.auth_file("api_keys_file"), clock) if "api_key" in modes else None,
            tokens=_tokens(config, clock) if "jwt" in modes else None,
            beside_browsers=is_loopback(config.service.host if host is None else host) and not auth.trusted_peers,
            development="development" in modes,
        )

    def identify(
        self, headers: Sequence[tuple[bytes, bytes]], *, peer: str | None = None, query: bytes = b""
    ) -> Caller:
        """Who is asking. A caller without a user is one that showed no credential, or one for several users.

        Args:
            headers: Of the request, as ASGI gives them.
            peer: The address of the other end of the connection; it must not come from a header.
            query: What follows ``?`` in the URL, not decoded; read in development mode alone.

        Raises:
            NotAuthenticated: A credential is bad, unknown or expired, an API key does not stand for the user that the
                user header names, or the request says two different things.
            ForeignPage: One of these; a page from elsewhere may be behind the request.
        """
        presented = Presented(headers, self._user_header)
        if self._development:
            return as_developer(headers, presented, peer, query)
        if self._takes_credentials and presented.has_credential:
            caller = self._by_credential(presented, peer)
            if caller is not None:
                return caller
        if presented.names_user and self._trusts(peer):
            user = presented.user()
            if user is not None:
                if self._beside_browsers:
                    check_no_page(headers)
                return Caller(user, how="header")
        return _NOBODY

    def _trusts(self, peer: str | None) -> bool:
        return self._peers is not None and self._peers.trusts(peer)

    def _by_credential(self, presented: Presented, peer: str | None) -> Caller | None:
        """The caller by the one credential that is for this service; ``None`` where there is none."""
        key, authorization = presented.api_key(), presented.authorization()
        token = bearer(authorization) if authorization else None
        key_is_ours = key is not None and (self._api_keys is not None or self._is_admin_key(key))
        if key is not None and key_is_ours:
            if authorization and (self._tokens is not None or (token is not None and self._is_known(token))):
                raise NotAuthenticated("the request has two credentials: keep Authorization or x-api-key")
            return self._by_key(key, presented, API_KEY)
        if authorization is None:
            return None
        if token is not None and self._is_known(token):
            return self._by_key(token, presented, AUTHORIZATION)
        if self._tokens is not None and token is not None:
            return self._by_token(self._tokens, token, presented, peer)
        if self._tokens is not None or self._api_keys is not None:
            raise NotAuthenticated("the credential in Authorization is not known")
        return None  # it is for the upstream

    def _by_key(self, secret: bytes, presented: Presented, header: bytes) -> Caller:
        credential = header.decode()
        if self._is_admin_key(secret):
            return Caller(presented.user(), admin=True, how="admin_key", credential=credential)
        if self._api_keys is None:
            raise NotAuthenticated("the key is not known")
        key = self._api_keys.key(secret)
        return Caller(key.user(presented.user()), admin=key.admin, how="api_key", credential=credential)

    def _by_token(self, tokens: Tokens, token: bytes, presented: Presented, peer: str | None) -> Caller:
        subject = tokens.subject(token)
        user = subject.user_id
        if subject.admin:
            user = presented.user() or user
        elif presented.names_user and self._trusts(peer) and presented.user() not in (None, user):
            raise NotAuthenticated("the token and the user header name different users")
        return Caller(user, admin=subject.admin, how="jwt", credential=AUTHORIZATION.decode())

    def _is_known(self, secret: bytes) -> bool:
        return self._is_admin_key(secret) or (self._api_keys is not None and self._api_keys.knows(secret))

    def _is_admin_key(self, secret: bytes) -> bool:
        return self._admin_digest is not None and compare_digest(sha256(secret).digest(), self._admin_digest)


def _tokens(config: Config, clock: Callable[[], float]) -> Tokens:
    try:
        from router_memory.identity.signing_keys import SigningKeys
        from router_memory.identity.tokens import Tokens
    except ImportError:
        raise MissingExtra("auth.modes: jwt", extra="server") from None
    section = config.service.auth.jwt
    keys = SigningKeys.read(*config.auth_file("jwt.jwks_file"), section.algorithms)
    return Tokens(section, keys, clock)
