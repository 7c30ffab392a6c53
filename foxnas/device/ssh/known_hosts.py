"""Host keys: only those that a known_hosts file accepts, and the exact command that would accept another."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paramiko import PKey

from foxnas.device.ssh.target import Target, parse_jump
from foxnas.errors import FoxnasError


@dataclass(frozen=True)
class KnownKey:
    """One line of a known_hosts file that is about a host."""

    marker: str
    kind: str
    content: bytes
    file: Path
    line: int


def fingerprint(content: bytes) -> str:
    """Return a public key's fingerprint as OpenSSH shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def known_keys(files: Sequence[Path], name: str) -> list[KnownKey]:
    """Return every line of `files` that is about `name` (``host`` or ``[host]:port``), files in order."""
    return [key for file in files for key in _read(file, name)]


def _read(file: Path, name: str) -> Iterator[KnownKey]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise FoxnasError(f"{file}: the known host keys cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or not matches(words[0], name):
            continue
        try:
            yield KnownKey(marker, words[1], base64.b64decode(words[2], validate=True), file, number)
        except binascii.Error:
            continue  # OpenSSH passes over a damaged line, too


def matches(patterns: str, name: str) -> bool:
    """Return whether the first field of a known_hosts line (sshd(8)) is about `name`."""
    if patterns.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part) for part in patterns.split("|")[2:4])
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
    found = False
    for pattern in patterns.lower().split(","):
        # `[host]:port` is literal in these files; fnmatch would take the brackets for a set.
        if fnmatch.fnmatchcase(name, pattern.lstrip("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def preferred_kinds(target: Target) -> list[str]:
    """Return the key types to ask the server for first: those that are known, as OpenSSH does."""
    kinds = [key.kind for key in known_keys(target.known_hosts, target.key_name) if not key.marker]
    return list(dict.fromkeys(kinds))


def check_host_key(target: Target, offered: PKey) -> None:
    """Raise FoxnasError unless a known_hosts file accepts this key, with the command that would."""
    content, kind = offered.asbytes(), offered.get_name()
    keys = known_keys(target.known_hosts, target.key_name)
    shown = f"{kind} {fingerprint(content)}"
    for key in keys:
        if key.marker == "@revoked" and key.content == content:
            raise FoxnasError(
                f"SSH host {target}: its key ({shown}) is revoked in {key.file}, line {key.line}; do not connect "
                "before you know why"
            )
    plain = [key for key in keys if not key.marker]
    if any(key.content == content for key in plain):
        return
    accept = accepting_command(target)
    if not plain and (authority := next((key for key in keys if key.marker == "@cert-authority"), None)):
        raise FoxnasError(
            f"SSH host {target}: its key ({shown}) is not known yet. {authority.file}, line {authority.line} trusts an "
            "authority (@cert-authority) for it, whose certificates cannot be checked here. Compare the fingerprint "
            f"with the device's own (there, logged in with ssh: ssh-keygen -lf /etc/ssh/ssh_host_{_short(kind)}_key.pub"
            f"), then accept it with: {accept}"
        )
    if not plain:
        raise FoxnasError(
            f"SSH host {target}: its key ({shown}) is not known yet. Compare the fingerprint with the device's own "
            f"(there: ssh-keygen -lf /etc/ssh/ssh_host_{_short(kind)}_key.pub), then accept it with: {accept}"
        )
    old = next((key for key in plain if key.kind == kind), plain[0])
    drop = f"ssh-keygen -R {shlex.quote(target.key_name)} -f {shlex.quote(str(old.file))}"
    raise FoxnasError(
        f"SSH host {target}: its key has changed: now {shown}, but {old.file}, line {old.line} says {old.kind} "
        f"{fingerprint(old.content)}. Somebody may be in between. If the device was set up anew, accept the new key "
        f"with: {drop} && {accept}"
    )


def _short(kind: str) -> str:
    return "ed25519" if "ed25519" in kind else "ecdsa" if "ecdsa" in kind else "rsa"


def _words_of_jumps(jumps: Sequence[str]) -> list[str]:
    """Return the words that lead `ssh` to the last of the jumps, which it takes as ``-p PORT USER@HOST``."""
    user, host, port = parse_jump(jumps[-1])
    through = ["-J", ",".join(jumps[:-1])] if jumps[:-1] else []
    return [*through, *(["-p", str(port)] if port else []), f"{user}@{host}" if user else host]


def accepting_command(target: Target) -> str:
    """Return the shell command that adds the host's keys, as they are now, to the user's first known_hosts file."""
    file = shlex.quote(str(target.known_hosts[0])) if target.known_hosts else "~/.ssh/known_hosts"
    if file == "/dev/null":
        file = (
            f"FILE, and a UserKnownHostsFile FILE for {target.name} in your SSH configuration, which now has /dev/null"
        )
    scan = f"ssh-keyscan{f' -p {target.port}' if target.port != 22 else ''} {shlex.quote(target.host)}"
    if target.jumps:
        scan = f"ssh {shlex.join(_words_of_jumps(target.jumps))} {shlex.quote(scan)}"
    if target.host_key_alias:
        scan += f" | sed {shlex.quote(f's/^[^ #]*/{target.host_key_alias}/')}"
    return f"{scan} >> {file}"
