"""From a name to the hops that lead there, as OpenSSH would go."""

from __future__ import annotations

import shutil

from foxnas.devices.ssh import openssh
from foxnas.devices.ssh.target import Target
from foxnas.errors import FoxnasError

_MOST_HOPS = 8


def hops_to(
    name: str, user: str | None = None, port: int | None = None, config_file: str | None = None
) -> list[Target]:
    """Return the hops to `name`, itself the last.

    A ProxyJump names hops in order; each is resolved on its own, and the first may have a ProxyJump again.
    Raises FoxnasError for a configuration that cannot be honoured, naming the keyword.
    """
    ssh = shutil.which("ssh")
    if ssh is None:
        raise FoxnasError("OpenSSH's client is not installed")
    ends = [openssh.resolve(name, user, port, config_file, ssh)]
    while ends[0].jumps:
        jumps = [_parse_jump(jump) for jump in ends[0].jumps]
        ends = [openssh.resolve(host, user, port, config_file, ssh) for user, host, port in jumps] + ends
        if len(ends) > _MOST_HOPS:
            raise FoxnasError(f"SSH host {name}: its ProxyJump leads over more than {_MOST_HOPS} hops; is it a circle?")
    return ends


def _parse_jump(text: str) -> tuple[str | None, str, int | None]:
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
