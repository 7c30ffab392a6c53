"""What ~/.ssh/config says, read by paramiko: for a machine that has no OpenSSH client to ask.

paramiko knows Host, Match and most tokens. What it does not (Include, for one) stands among its results as
a keyword like any other, and is refused by name.
"""

from __future__ import annotations

import getpass
import io
import shlex
from pathlib import Path

import paramiko
from paramiko.ssh_exception import ConfigParseError, CouldNotCanonicalize

from foxnas.device.ssh import openssh
from foxnas.device.ssh.target import Target
from foxnas.errors import FoxnasError

SYSTEM_FILE = Path("/etc/ssh/ssh_config")


def resolve(name: str, user: str | None, port: int | None, config_file: str | None) -> Target:
    """Return where `name` leads; as `foxnas.device.ssh.openssh.resolve`, without OpenSSH.

    Raises FoxnasError for a file that cannot be read and for a keyword that cannot be honoured.
    """
    config = paramiko.SSHConfig()
    given = [*([f"User {user}"] if user else []), *([f"Port {port}"] if port else [])]
    config.parse(io.StringIO("\n".join(["Host *", *given])))  # the first value of a keyword counts
    files = [Path(config_file).expanduser()] if config_file else [openssh.home() / ".ssh" / "config", SYSTEM_FILE]
    for file in files:
        if config_file or file.exists():
            _parse(config, file)
    try:
        found = dict(config.lookup(name))
    except CouldNotCanonicalize as error:
        raise FoxnasError(f"SSH host {name}: no canonical name is found for {error}") from None
    settings = {key: value if isinstance(value, list) else [str(value)] for key, value in found.items()}
    changed = set(settings)
    if tokens := [key for key in settings if key.endswith("knownhostsfile") and "%" in settings[key][0]]:
        raise FoxnasError(f"SSH host {name}: tokens in {tokens[0]} need OpenSSH's client on this machine: install it")
    for key in ("userknownhostsfile", "globalknownhostsfile"):
        if key in settings:
            settings[key] = _words(name, key, settings[key][0])
    for key, value in _defaults(name).items():
        settings.setdefault(key, value)
    return openssh.honoured(name, settings, changed, "; or install OpenSSH's client on this machine")


def _parse(config: paramiko.SSHConfig, file: Path) -> None:
    try:
        config.parse(io.StringIO(file.read_text()))
    except OSError as error:
        raise FoxnasError(f"{file}: cannot be read ({error.strerror})") from None
    except (ConfigParseError, UnicodeDecodeError) as error:
        raise FoxnasError(f"{file}: is no SSH configuration ({error})") from None


def _words(name: str, key: str, value: str) -> list[str]:
    """Take apart the paths of one line, of which those with spaces are quoted."""
    try:
        return shlex.split(value)
    except ValueError:
        raise FoxnasError(f"SSH host {name}: {key} {value!r} has a quote that does not end") from None


def _defaults(name: str) -> dict[str, list[str]]:
    home = openssh.home() / ".ssh"
    return {
        "hostname": [name],
        "user": [getpass.getuser()],
        "port": ["22"],
        "identityfile": [str(home / key) for key in ("id_rsa", "id_ecdsa", "id_ed25519")],
        "userknownhostsfile": [str(home / "known_hosts"), str(home / "known_hosts2")],
        "globalknownhostsfile": ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
    }
