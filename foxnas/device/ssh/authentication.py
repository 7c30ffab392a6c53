"""Authentication: agent keys, key files, and a password that is never stored."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import paramiko
from paramiko.ssh_exception import AuthenticationException, SSHException

from foxnas.device.ssh.identities import Agent, AgentKey, accepted, is_certificate, is_public, plain, public_halves
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


def authenticate(transport: paramiko.Transport, target: Target, secret: Secret) -> None:
    """Log in as `target.user`: agent keys, key files, then the password.

    Raises FoxnasError that lists what was tried. A server that asks for several proofs gets them in turn.
    """
    tried: list[str] = []
    further: list[str] = []
    algorithms = dict(target.algorithms).get("pubkeys")
    try:
        for name, key in _keys(target, secret, tried):
            if algorithms and not accepted(_offered_as(key), algorithms):
                tried.append(f"{name} (not among your PubkeyAcceptedAlgorithms)")
                continue
            try:
                if isinstance(key, AgentKey):
                    key.sign_for(transport, target.user)
                further = transport.auth_publickey(target.user, key)
            except (AuthenticationException, SSHException, TimeoutError) as error:
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


def _offered_as(key: paramiko.PKey) -> str:
    return str(key.public_blob.key_type if key.public_blob else key.get_name())


def _keys(target: Target, secret: Secret, tried: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield what to offer, in OpenSSH's order: agent keys that belong to an identity file, other agent keys, files."""
    halves = {path: public_halves(path) for path in target.identity_files}
    named = {blob for blobs in halves.values() for blob in blobs}
    agent: Agent | None = None
    if target.agent:
        try:
            agent = Agent(target.agent)
        except (OSError, SSHException) as error:
            tried.append(f"the agent at {target.agent} ({error})")
    held = agent.blobs if agent else []
    for blob in sorted(held, key=lambda blob: blob not in named):
        if agent and (blob in named or not target.identities_only):
            what = "agent certificate of" if is_certificate(blob) else "agent key"
            # An old agent signs for an RSA certificate with SHA-1; for the key itself it does as it is told.
            yield (
                f"{what} {fingerprint(plain(blob))}",
                AgentKey(agent, blob, plain(blob) if plain(blob) in held else blob),
            )
    for path, blobs in halves.items():
        certificates = [blob for blob in blobs if is_certificate(blob) and blob not in held]
        if blobs and all(blob in held for blob in blobs):
            continue
        if agent and blobs and plain(blobs[0]) in held:
            for blob in certificates:
                yield f"{path}-cert.pub, signed for by the agent", AgentKey(agent, blob, plain(blobs[0]))
        elif is_public(path):
            tried.append(f"{path} (a public key, whose private half no agent has)")
        elif path.is_file() and (loaded := _load(path, secret, tried)):
            certificate, loaded.public_blob = loaded.public_blob, None
            yield str(path), loaded
            if certificate and certificate.key_blob not in held:
                loaded.public_blob = certificate
                yield f"{path}-cert.pub", loaded


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
