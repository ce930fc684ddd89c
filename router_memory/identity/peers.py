"""Whose user header counts: the addresses that the gateway has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Peers"]

_MAPPED_BITS = 96  # ::ffff:0:0/96 holds the IPv4 addresses
_REMEMBERED = 1024  # peers; a gateway has a handful


class Peers:
    """The addresses that are trusted to name users.

    IPv4 addresses in IPv6 form, as a dual-stack socket reports them, are taken for what they are.

    Args:
        networks: In CIDR form, such as ``10.0.0.0/8``; none at all trusts everybody.
    """

    __slots__ = ("_networks", "_trusted")

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = tuple(_plain(ip_network(text)) for text in networks)
        self._trusted = lru_cache(maxsize=_REMEMBERED)(self._find)

    def trusts(self, peer: str | None) -> bool:
        """Whether a peer may name users.

        Args:
            peer: The address of the other end of the connection. Without one, as on a Unix socket, and for what is no
                address, only an empty list trusts it.
        """
        return not self._networks or (peer is not None and self._trusted(peer))

    def _find(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        plain: IPv4Address | IPv6Address = address
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            plain = address.ipv4_mapped
        return any(plain in network for network in self._networks)


def _plain(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network
