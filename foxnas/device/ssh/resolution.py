"""Resolves a name to the hops that lead there, as OpenSSH does."""

from __future__ import annotations

import re
import shutil

from foxnas.device.ssh import openssh, without_openssh
from foxnas.device.ssh.target import Target, parse_jump
from foxnas.errors import FoxnasError

_MOST_HOPS = 8


def hops_to(
    name: str, user: str | None = None, port: int | None = None, config_file: str | None = None
) -> list[Target]:
    """Return the hops to `name`, itself the last.

    A ProxyJump names hops in order; each is resolved on its own, and the first may have a ProxyJump again.
    Raises FoxnasError for a configuration that cannot be honoured, naming the keyword.
    """
    ends = [_resolve(name, user, port, config_file)]
    while ends[0].jumps:
        ends = [_resolve(host, user, port, config_file) for user, host, port in map(parse_jump, ends[0].jumps)] + ends
        if len(ends) > _MOST_HOPS:
            raise FoxnasError(f"SSH host {name}: its ProxyJump leads over more than {_MOST_HOPS} hops; is it a circle?")
    return ends


def _resolve(name: str, user: str | None, port: int | None, config_file: str | None) -> Target:
    _check_plain("host", name)
    if user:
        _check_plain("user", user)
    if ssh := shutil.which("ssh"):
        target = openssh.resolve(name, user, port, config_file, ssh)
    else:
        target = without_openssh.resolve(name, user, port, config_file)
    _check_plain("host", target.host)
    _check_plain("user", target.user)
    return target


def _check_plain(what: str, text: str) -> None:
    """A name may end up in a ProxyCommand or a Match exec, which a shell runs; OpenSSH refuses the same."""
    if found := re.search(r"^-|[\s'\"`$\\;&<>|(){}\x00-\x1f\x7f]", text):
        raise FoxnasError(f"SSH: {found[0]!r} in the {what} {text!r} is not allowed; no {what} needs it")
