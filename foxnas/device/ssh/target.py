"""Targets of SSH names as plain values: the hops, and how to log in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Target:
    """One hop, with everything of OpenSSH's configuration that a connection honours.

    Parameters
    ----------
    name
        What was asked for.
    host, port, user
        What it resolves to.
    host_key_alias
        Stands for host and port in the known_hosts files.
    known_hosts
        Files of accepted host keys, the user's first.
    identity_files
        Private keys to try; those that do not exist are passed over.
    identities_only
        Offer only agent keys whose public half lies beside an identity file.
    agent
        The agent's socket; None: no agent.
    jumps
        ``[user@]host[:port]`` of the hops to go through, in order.
    proxy_command
        A program whose stdin and stdout lead there instead, tokens expanded.
    environment
        Variables to set on the device (SetEnv); the server decides which it takes.
    bind_address, address_family
        Of the TCP connection; the family as `socket` numbers it.
    connect_timeout_s, keepalive_s
        Limits of the TCP connection and of silence on it.
    algorithms
        Configured lists by what they are for: ciphers, digests, kex, keys, pubkeys. Absent: paramiko's own.
    """

    name: str
    host: str
    port: int
    user: str
    host_key_alias: str | None = None
    known_hosts: tuple[Path, ...] = ()
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    agent: str | None = None
    jumps: tuple[str, ...] = ()
    proxy_command: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    bind_address: str | None = None
    address_family: int = 0
    connect_timeout_s: float = 30.0
    keepalive_s: int = 30
    algorithms: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def key_name(self) -> str:
        """How known_hosts files name this hop."""
        if self.host_key_alias:
            return self.host_key_alias
        return self.host.lower() if self.port == 22 else f"[{self.host.lower()}]:{self.port}"

    def __str__(self) -> str:
        at = f"{self.user}@{self.host}" + f":{self.port}" * (self.port != 22)
        return at if self.name == self.host else f"{self.name}, {at}"


def parse_jump(text: str) -> tuple[str | None, str, int | None]:
    """Return user, host and port of one jump, ``[ssh://][user@]host[:port]``."""
    text = text.removeprefix("ssh://")
    user, _, place = text.rpartition("@")
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    else:
        host, port = place, ""
    return user or None, host, int(port) if port else None
