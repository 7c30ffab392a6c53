"""Authentication: agent keys, key files, and a password that is never stored."""

from __future__ import annotations

import base64
import binascii
import getpass
import os
import socket
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.ssh_exception import AuthenticationException, SSHException

from foxnas.device.ssh.known_hosts import fingerprint
from foxnas.device.ssh.target import Target
from foxnas.errors import FoxnasError


class Secret:
    """A password or passphrase, fetched when it is first needed and kept in this process only.

    Parameters
    ----------
    source
        None: there is none. ``prompt``: the terminal is asked. Else an environment variable's name.
    purpose
        Whose secret it is, for the prompt and for errors.
    """

    def __init__(self, source: str | None, purpose: str) -> None:
        self.source, self._purpose = source, purpose
        #: What it has opened: then it is that key's passphrase, and no server's business.
        self.opened: Path | None = None

    @cached_property
    def value(self) -> str | None:
        """The secret, None if there is none. Raises FoxnasError when it cannot be had."""
        if self.source is None:
            return None
        if self.source != "prompt":
            if self.source not in os.environ:
                raise FoxnasError(f"{self._purpose}: the environment variable {self.source} is not set")
            return os.environ[self.source]
        try:
            with Path("/dev/tty").open():
                return getpass.getpass(f"Password of {self._purpose}: ")
        except (OSError, EOFError):
            raise FoxnasError(
                f"{self._purpose}: there is no terminal to ask for the password; use a key, an agent, or the name of "
                "an environment variable"
            ) from None

    def __repr__(self) -> str:
        return f"Secret({self.source!r})"


class _Agent(AgentSSH):
    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect(path)
        self._connect(connection)  # type: ignore[attr-defined]


def authenticate(transport: paramiko.Transport, target: Target, secret: Secret) -> None:
    """Log in as `target.user`: agent keys, key files, then the password.

    Raises FoxnasError that lists what was tried. A server that asks for several proofs gets them in turn.
    """
    tried: list[str] = []
    further: list[str] = []
    accepted = dict(target.algorithms).get("pubkeys")
    try:
        for name, key in _keys(target, secret, tried):
            # Which signature an RSA key makes, the connection has been told.
            if accepted and "rsa" not in key.get_name() and key.get_name() not in accepted:
                tried.append(f"{name} (not among your PubkeyAcceptedAlgorithms)")
                continue
            try:
                further = transport.auth_publickey(target.user, key)
            except (AuthenticationException, SSHException) as error:
                if not transport.is_active():
                    raise
                tried.append(f"{name} ({str(error).rstrip('.').lower() or 'refused'})")
                continue
            if transport.is_authenticated():
                return
            tried.append(f"{name} (taken, but {' or '.join(further)} is asked for as well)")
            break
        for path in filter(Path.is_file, target.identity_files):
            if secret.source is not None and secret.opened is None:  # of keys that the agent had, nobody has asked yet
                _load(path, secret, [])
        password = secret.value if secret.opened is None else None
        if secret.opened is not None:
            tried.append(f"no password, since {secret.source} is the passphrase of {secret.opened}")
        if password is not None:
            try:
                transport.auth_password(target.user, password)
            except (AuthenticationException, SSHException):
                if not transport.is_active():
                    raise
                tried.append(f"the password from {secret.source} (refused)")
        if transport.is_authenticated():
            return
    except (SSHException, EOFError) as error:
        tried.append(f"then the server hung up ({error}): if it limits the number of keys, set IdentitiesOnly")
    raise FoxnasError(
        f"SSH host {target}: login refused; tried {', '.join(tried) or 'nothing, since there is no key'}. Make "
        f"`ssh {target.name}` work without questions: ssh-copy-id {target.name}, ssh-add for an encrypted key, or "
        "name the variable that holds the password under ssh.password"
    )


def _keys(target: Target, secret: Secret, tried: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield what to offer, in OpenSSH's order: agent keys that belong to an identity file, other agent keys, files."""
    public = {content: path for path in target.identity_files if (content := _public_half(path))}
    in_agent: list[AgentKey] = []
    if target.agent:
        try:
            in_agent = list(_Agent(target.agent).get_keys())
        except (OSError, SSHException) as error:
            tried.append(f"the agent at {target.agent} ({error})")
    named = [key for key in in_agent if key.blob in public]
    others = [] if target.identities_only else [key for key in in_agent if key.blob not in public]
    for key in named + others:
        yield f"agent key {fingerprint(key.blob)}", key
    offered = {key.blob for key in named}
    for path in target.identity_files:
        if _public_half(path) in offered or not path.is_file():
            continue
        if loaded := _load(path, secret, tried):
            yield str(path), loaded


def _public_half(path: Path) -> bytes | None:
    try:
        return base64.b64decode(Path(f"{path}.pub").read_text().split()[1], validate=True)
    except (OSError, IndexError, ValueError, binascii.Error):
        return None


def _load(path: Path, secret: Secret, tried: list[str]) -> paramiko.PKey | None:
    encrypted = False
    try:
        try:
            return paramiko.PKey.from_path(path)
        except TypeError:  # how the cryptography package says that a key is encrypted
            encrypted = True
        if secret.source is None:
            tried.append(f"{path} (encrypted, and no password is configured)")
            return None
        key = paramiko.PKey.from_path(path, (secret.value or "").encode())  # type: ignore[arg-type]
        secret.opened = path
        return key
    except OSError as error:
        tried.append(f"{path} ({error.strerror})")
    except (SSHException, ValueError, paramiko.pkey.UnknownKeyType):
        tried.append(f"{path} ({'not opened by the password' if encrypted else 'no key that paramiko can read'})")
    return None
