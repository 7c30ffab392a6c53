"""Public halves of keys on disk, and keys and certificates that an agent signs for, as OpenSSH pairs them."""

from __future__ import annotations

import base64
import binascii
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import paramiko
from paramiko.agent import ALGORITHM_FLAG_MAP, AgentSSH, cSSH2_AGENTC_SIGN_REQUEST
from paramiko.agent import SSH2_AGENT_SIGN_RESPONSE as SIGNED
from paramiko.auth_handler import AuthHandler
from paramiko.message import Message
from paramiko.pkey import PublicBlob
from paramiko.ssh_exception import SSHException

#: What a certificate's type, and the algorithm of a signature for one, ends with.
CERTIFICATE = "-cert-v01@openssh.com"

#: An RSA key signs in several ways, and none of them is called like the key.
RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")

#: Fields of a certificate, behind its type and a nonce, that are its key.
_KEY_FIELDS = {"ssh-rsa": 2, "ssh-ed25519": 1, "sk-ssh-ed25519": 2, "sk-ecdsa-sha2-nistp256": 3}
_ECDSA_FIELDS = 2

_OPENSSH_KEY = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")


class Agent(AgentSSH):
    """A connection to the agent behind a socket, and the public halves of its keys."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect(path)
        self._connect(connection)  # type: ignore[attr-defined]
        self.blobs = [key.blob for key in self.get_keys()]


class AgentKey(paramiko.PKey):
    """A key or a certificate to offer, and the key of an agent that signs for it.

    paramiko's own cannot offer a certificate, and signs in the thread that serves the connection, which an agent that
    declines ends.
    """

    def __init__(self, agent: Agent, offered: bytes, signer: bytes) -> None:
        self._agent, self._signer = agent, signer
        self._offered, self.public_blob = offered, PublicBlob(kind(offered), offered)
        self._signed: dict[bytes, bytes] = {}

    def get_name(self) -> str:
        """Return the type of what is offered."""
        return kind(self._offered)

    def asbytes(self) -> bytes:
        """Return what is offered."""
        return self._offered

    def sign_for(self, transport: paramiko.Transport, user: str) -> None:
        """Have the agent sign the login that comes next. Raises SSHException when it declines."""
        handler = AuthHandler(transport)
        algorithm = handler._finalize_pubkey_algorithm(self.get_name())  # type: ignore[attr-defined]
        data = handler._get_session_blob(self, "ssh-connection", user, algorithm)  # type: ignore[attr-defined]
        self._signed[data] = self._sign(data, algorithm)

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> bytes:  # type: ignore[override]
        """Return the signature that `sign_for` got."""
        return self._signed.get(data) or self._sign(data, algorithm)

    def _sign(self, data: bytes, algorithm: str | None) -> bytes:
        asked = Message()
        asked.add_byte(cSSH2_AGENTC_SIGN_REQUEST)
        asked.add_string(self._signer)
        asked.add_string(data)
        asked.add_int(ALGORITHM_FLAG_MAP.get(algorithm or "", 0))
        answer, signature = self._agent._send_message(asked)  # type: ignore[attr-defined]
        if answer != SIGNED:
            raise SSHException("the agent declines to sign")
        return bytes(signature.get_binary())


def kind(blob: bytes) -> str:
    """Return the type of a public key or certificate."""
    return str(Message(blob).get_text())


def is_certificate(blob: bytes) -> bool:
    """Return whether a public half is a certificate."""
    return kind(blob).endswith(CERTIFICATE)


def accepted(offered_as: str, algorithms: Sequence[str]) -> bool:
    """Return whether PubkeyAcceptedAlgorithms has an algorithm for a key or certificate of this type."""
    if "rsa" not in offered_as:
        return offered_as in algorithms
    tail = CERTIFICATE if offered_as.endswith(CERTIFICATE) else ""
    return any(signature + tail in algorithms for signature in RSA_SIGNATURES)


def plain(blob: bytes) -> bytes:
    """Return the public key that a certificate is of; a public key as it is."""
    if not is_certificate(blob):
        return blob
    certificate, key = Message(blob), Message()
    name = certificate.get_text().removesuffix(CERTIFICATE)
    certificate.get_string()  # the nonce
    key.add_string(name + "@openssh.com" * name.startswith("sk-"))
    for _ in range(_KEY_FIELDS.get(name, _ECDSA_FIELDS)):
        key.add_string(certificate.get_string())
    return bytes(key.asbytes())


def public_halves(path: Path) -> list[bytes]:
    """Return the public key of an identity file, as far as it is known without opening it, and its certificate.

    The file may be a public key itself, whose private half an agent has; one in OpenSSH's format holds its public half
    beside the encrypted private one.
    """
    keys = [*_lines(path), *_inside(path), *_lines(Path(f"{path}.pub"))][:1]
    certificates = [*_lines(Path(f"{path}-cert.pub")), *_lines(Path(f"{path}-cert"))][:1]
    return keys + [blob for blob in certificates if is_certificate(blob)]


def is_public(path: Path) -> bool:
    """Return whether a file holds a public key rather than a private one."""
    return bool(list(_lines(path)))


def _lines(path: Path) -> Iterator[bytes]:
    """Give the one key of a .pub file."""
    try:
        words = path.read_text().split()
        blob = base64.b64decode(words[1], validate=True)
        if kind(blob) == words[0]:
            yield blob
    except (OSError, IndexError, ValueError, binascii.Error):
        return


def _inside(path: Path) -> Iterator[bytes]:
    """Give the public key in the readable part of a private key file of OpenSSH's format."""
    try:
        text = path.read_text().strip()
        if not (text.startswith(_OPENSSH_KEY[0]) and text.endswith(_OPENSSH_KEY[1])):
            return
        content = base64.b64decode("".join(text.splitlines()[1:-1]), validate=True)
        magic, _, rest = content.partition(b"\0")
        fields = Message(rest)
        for _cipher_kdf_options in range(3):
            fields.get_string()
        if magic == b"openssh-key-v1" and fields.get_int() == 1:
            yield fields.get_string()
    except (OSError, ValueError, binascii.Error):
        return
