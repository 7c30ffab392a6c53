"""One authenticated SSH connection, over which everything with a device goes."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import time
from collections.abc import Sequence

import paramiko
from paramiko.ssh_exception import ChannelException, IncompatiblePeer, SSHException

from foxnas.device.ssh.authentication import Secret, authenticate
from foxnas.device.ssh.command import LINE, words_line
from foxnas.device.ssh.identities import CERTIFICATE, RSA_SIGNATURES
from foxnas.device.ssh.known_hosts import check_host_key, known_keys, preferred_kinds
from foxnas.device.ssh.stream import SshStream
from foxnas.device.ssh.target import Target
from foxnas.device.text import printable
from foxnas.device.transport import DeviceLost, Finished, require_bounded
from foxnas.errors import FoxnasError

# It reports every cut connection with a traceback; all of that reaches us as exceptions.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

#: How long a session that is refused is asked for again.
_REFUSED_S = 5.0


class Connection:
    """A connection to the last of `hops`, each reached through the one before.

    Raises FoxnasError for what only a person can mend (keys, login, configuration), DeviceLost for what may
    pass (refused, unreachable, cut).
    """

    def __init__(self, hops: Sequence[Target], secret: Secret) -> None:
        self.target = hops[-1]
        self._opened: list[contextlib.AbstractContextManager[object]] = []
        self._transport: paramiko.Transport
        try:
            for hop in hops:
                way = self._channel_to(hop) if hop is not hops[0] else self._socket_to(hop)
                # The device's password is for the device: the machines between get keys only.
                self._transport = self._secure(hop, way, secret if hop is self.target else Secret(None, str(hop)))
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as this end knows."""
        return self._transport.is_active()

    def run(self, words: Sequence[str], stdin: bytes = b"", timeout_s: float = 60.0) -> Finished:
        """Run one command, every word quoted, and return what came of it; see `Transport.run`."""
        stream = self.stream(words)
        deadline = time.monotonic() + timeout_s
        out = bytearray()
        try:
            # A command that wants no more of its input still has its say.
            with contextlib.suppress(DeviceLost):
                stream.send(stdin, timeout_s)
                stream.end_input()
            while data := stream.receive(max(deadline - time.monotonic(), 0)):
                out += data
                require_bounded(f"SSH host {self.target}", words[0], len(out))
                if time.monotonic() > deadline:  # what writes all the time has not ended either
                    raise TimeoutError
            status = stream.ending(max(deadline - time.monotonic(), 0)).status
        except TimeoutError:
            raise DeviceLost(f"SSH host {self.target}: {words[0]} has not ended after {timeout_s:g} s") from None
        finally:
            stream.close()
        if status is None:
            raise DeviceLost(f"SSH host {self.target}: {words[0]}: the connection was cut")
        return Finished(status, bytes(out), stream.stderr_tail().encode())

    def stream(self, words: Sequence[str]) -> SshStream:
        """Start one command, every word quoted, and return its stdin and stdout."""
        try:
            channel = self._session()
            for name, value in self.target.environment:
                channel.set_environment_variable(name, value)
            channel.exec_command(LINE)
        except (SSHException, OSError, EOFError) as error:
            raise DeviceLost(f"SSH host {self.target}: {_said(error)}") from None
        stream = SshStream(channel)
        # What ends before it reads them (an account without a login shell) still has its say.
        with contextlib.suppress(DeviceLost, TimeoutError):
            stream.send(words_line(words), 30)
        return stream

    def _session(self) -> paramiko.Channel:
        """Open a session. A server that has just ended another one may not have counted it off yet."""
        until = time.monotonic() + _REFUSED_S
        while True:
            try:
                return self._transport.open_session(timeout=30)
            except ChannelException as error:
                if time.monotonic() > until:
                    raise FoxnasError(
                        f"SSH host {self.target}: refuses a session on a connection that stands ({error.text}): it "
                        "allows too few at once, see MaxSessions in its sshd_config"
                    ) from None
                time.sleep(0.1)

    def upload(self, content: bytes, path: str, timeout_s: float = 60.0) -> None:
        """Write a file on the device, whole or not at all, with the folder it lies in.

        Raises FoxnasError with the device's own words when it cannot be written.
        """
        # Whether the end of stdin is the end of the file or of the connection, only the length can tell.
        script = (
            'umask 077; part="$1.part.$$"; mkdir -p -- "$(dirname -- "$1")" && cat > "$part"'
            ' && [ "$(wc -c < "$part")" -eq "$2" ] && mv -f -- "$part" "$1"; status=$?; rm -f -- "$part"; exit $status'
        )
        words = ["/bin/sh", "-c", script, "sh", safe_path(path), str(len(content))]
        done = self.run(words, content, timeout_s)
        if done.status:
            raise FoxnasError(f"SSH host {self.target}: {path} cannot be written there: {_own_words(done.stderr)}")

    def close(self) -> None:
        """Close every hop, the last first."""
        while self._opened:
            with contextlib.suppress(Exception):
                self._opened.pop().__exit__(None, None, None)

    def _keep(self, opened: contextlib.AbstractContextManager[object]) -> None:
        self._opened.append(opened)

    def _socket_to(self, hop: Target) -> socket.socket:
        if hop.proxy_command:
            return self._through_program(hop)
        try:
            found = socket.getaddrinfo(hop.host, hop.port, hop.address_family, socket.SOCK_STREAM)
        except UnicodeError:
            raise FoxnasError(
                f"SSH host {printable(str(hop), 100)}: no host has such a name: between two dots there is nothing, or "
                "more than 63 characters"
            ) from None
        except OSError as error:
            raise _unreachable(hop, f"the name is not found ({error.strerror})") from None
        said: list[str] = []
        for family, kind, protocol, _, address in found:
            way = socket.socket(family, kind, protocol)
            try:
                way.settimeout(hop.connect_timeout_s)
                if hop.bind_address:
                    way.bind((hop.bind_address, 0))
                way.connect(address)
            except OSError as error:
                way.close()
                said.append(f"{address[0]}: {error.strerror or 'no answer'}")
                continue
            self._keep(contextlib.closing(way))
            way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # a dead network shows in a minute, not in a quarter of an hour
                way.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
            return way
        raise _unreachable(hop, f"cannot be reached ({'; '.join(said)})")

    def _through_program(self, hop: Target) -> socket.socket:
        ours, theirs = socket.socketpair()
        # exec, as OpenSSH does it: a shell between would outlive the connection.
        program = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {hop.proxy_command}"], stdin=theirs.fileno(), stdout=theirs.fileno()
        )
        theirs.close()
        stack = contextlib.ExitStack()
        stack.callback(program.wait, 5)
        stack.callback(program.terminate)
        stack.enter_context(contextlib.closing(ours))
        self._keep(stack)
        return ours

    def _channel_to(self, hop: Target) -> paramiko.Channel:
        try:
            return self._transport.open_channel(
                "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=hop.connect_timeout_s
            )
        except ChannelException as error:
            raise _unreachable(hop, f"cannot be reached from the hop before it ({error.text})") from None
        except (SSHException, OSError, EOFError) as error:
            raise DeviceLost(f"SSH host {hop}: {_said(error)}") from None

    def _secure(self, hop: Target, way: socket.socket | paramiko.Channel, secret: Secret) -> paramiko.Transport:
        allowed = dict(hop.algorithms).get("pubkeys")
        ours = paramiko.Transport._preferred_pubkeys  # type: ignore[attr-defined]
        shut = {"pubkeys": [one for one in ours if not {one, one + CERTIFICATE} & set(allowed)]} if allowed else None
        transport = paramiko.Transport(way, disabled_algorithms=shut)
        self._keep(contextlib.closing(transport))
        transport.daemon = True
        transport.banner_timeout = transport.auth_timeout = hop.connect_timeout_s
        restrict(transport, hop)
        try:
            transport.start_client(timeout=hop.connect_timeout_s)
            check_host_key(hop, transport.get_remote_server_key())
            begun = time.monotonic()
            authenticate(transport, hop, secret)
        except IncompatiblePeer as error:
            raise FoxnasError(f"SSH host {hop}: {error}; its algorithms or yours are too narrow") from None
        except (SSHException, OSError, EOFError) as error:
            raise DeviceLost(f"SSH host {hop}: {_said(error)}") from None
        transport.set_keepalive(hop.keepalive_s)
        logging.getLogger(__name__).debug("%s: logged in within %.1f s", hop, time.monotonic() - begun)
        return transport


def restrict(transport: paramiko.Transport, hop: Target) -> None:
    """Ask for the host key types that are known first, and for nothing that the configuration leaves out."""
    configured = dict(hop.algorithms)
    options = transport.get_security_options()
    for name, attribute in (("ciphers", "ciphers"), ("digests", "digests"), ("kex", "kex"), ("keys", "key_types")):
        have = getattr(options, attribute)
        wanted = [one for one in configured.get(name, have) if one in have]
        if not wanted:
            raise FoxnasError(f"SSH host {hop}: paramiko knows none of the {name} that your SSH configuration allows")
        if name == "keys":
            known = {sub for kind in preferred_kinds(hop) for sub in (RSA_SIGNATURES if kind == "ssh-rsa" else (kind,))}
            wanted.sort(key=lambda one: one not in known)
        setattr(options, attribute, tuple(wanted))


def safe_path(path: str) -> str:
    """Return a path that no program takes for an option, relative to the home folder for one that begins with ~/."""
    path = path.removeprefix("~/") or "."
    return f"./{path}" if path.startswith(("-", "~")) else path


def _unreachable(hop: Target, what: str) -> FoxnasError:
    """A host that was met before may come back; one that never was is more likely misspelt."""
    if known_keys(hop.known_hosts, hop.key_name):
        return DeviceLost(f"SSH host {hop}: {what}")
    return FoxnasError(f"SSH host {hop}: {what}, and no known_hosts file knows it; is it the right name and port?")


def _own_words(content: bytes) -> str:
    return printable(content.decode(errors="replace"), 300)


def _said(error: BaseException) -> str:
    if str(error).startswith("Error reading SSH protocol banner"):
        return "hung up before it spoke SSH"
    return printable(str(error), 300).rstrip(".") or (
        "hung up" if isinstance(error, EOFError) else type(error).__name__
    )
