"""One connection to a real OpenSSH server: hops, keys, agents, passwords, quoting, reuse."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foxnas.device.client import Runner
from foxnas.device.config import SshConfig
from foxnas.device.ssh import authentication
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device, DeviceLost
from foxnas.errors import FoxnasError
from tests.support.fake_device import MODEL, QUICK
from tests.support.sshd import Sshd, make_key

NASTY = ["a b", "$HOME `id` $(id)", "'\"\\'\"", "; touch /tmp/harm #", "*?[a]~", "-n", "", "\n\t", "é漢", "!!", "%s\\n"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    running = Sshd(tmp_path_factory.mktemp("sshd"), sys.executable).start("AcceptEnv LC_*")
    yield running
    running.kill()


@pytest.fixture
def opened() -> Iterator[list[SshTransport]]:
    """Transports that a test opens, closed after it."""
    transports: list[SshTransport] = []
    yield transports
    for transport in transports:
        transport.close()


def echo(config: SshConfig, opened: list[SshTransport]) -> bytes:
    opened.append(SshTransport(config, "tflite"))
    return opened[-1].run(["echo", "here"]).stdout


def test_every_word_arrives_as_it_is(server: Sshd, opened: list[SshTransport]) -> None:
    opened.append(SshTransport(server.client(), "tflite"))
    done = opened[0].run(["printf", "%s\\0", *NASTY])
    assert done.stdout.decode().split("\0")[:-1] == NASTY

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(
        st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), min_size=1)
    )
    def arrives(words: list[str]) -> None:
        assert opened[0].run(["printf", "%s\\0", *words]).stdout.decode().split("\0")[:-1] == words

    arrives()
    assert sorted(path.name for path in server.board.parent.glob("harm*")) == []


def test_a_command_s_input_output_and_end(server: Sshd, opened: list[SshTransport]) -> None:
    opened.append(SshTransport(server.client(), "tflite"))
    noise = os.urandom(3_000_000)
    done = opened[0].run(["sh", "-c", "cat; echo said >&2; exit 7"], noise)
    assert (done.status, done.stdout == noise, done.stderr) == (7, True, b"said")
    assert opened[0].run(["sh", "-c", "kill -SEGV $$"]).status == -11
    assert opened[0].run(["no such program"]).status == 127
    assert opened[0].run(["true"], noise).status == 0


def test_files_arrive_whole_whatever_their_name(server: Sshd, opened: list[SshTransport]) -> None:
    opened.append(SshTransport(server.client(), "tflite"))
    for name in ("-rf", "a b/$(touch harm)/x", "'\"`id`;", "deep/er/é"):
        content = os.urandom(100_000)
        opened[0].upload(content, f"{server.board}/{name}")
        assert (server.board / name).read_bytes() == content
    with pytest.raises(FoxnasError, match=r"/dev/null/x cannot be written there: mkdir: .*/dev/null"):
        opened[0].upload(b"", "/dev/null/x")
    assert [path for path in server.board.rglob("*") if ".part" in path.name or path.name == "harm"] == []


def test_one_connection_serves_everything(server: Sshd, opened: list[SshTransport]) -> None:
    before = server.logins()
    opened.append(SshTransport(server.client(), "tflite"))
    for _ in range(5):
        assert opened[0].run(["true"]).status == 0
    opened[0].upload(b"x", f"{server.board}/x")
    opened[0].start().close()
    assert server.logins() == before + 1


def test_environment_that_the_configuration_sets(server: Sshd, opened: list[SshTransport]) -> None:
    opened.append(SshTransport(server.client(SetEnv="LC_FOX='a b;c'"), "tflite"))
    assert opened[0].run(["printenv", "LC_FOX"]).stdout == b"a b;c\n"


def test_a_device_behind_two_hops(
    server: Sshd, tmp_path_factory: pytest.TempPathFactory, opened: list[SshTransport]
) -> None:
    inner = Sshd(tmp_path_factory.mktemp("inner"), sys.executable).start()
    try:
        config = server.client(name="gate")
        text = Path(config.config_file or "").read_text()
        text += text.replace("Host gate", "Host second").replace("User ", "ProxyJump never-read\n  User ")
        inside = inner.client(name="hidden")
        text += Path(inside.config_file or "").read_text() + "  ProxyJump gate,second\n"
        text += Path(inside.config_file or "").read_text().replace("Host hidden", "Host piped")
        text += f"  ProxyCommand {shutil.which('ssh')} -F {config.config_file} -W %h:%p gate\n"
        Path(config.config_file or "").write_text(text)
        before = server.logins()
        assert echo(config.model_copy(update={"host": "hidden"}), opened) == b"here\n"
        assert (server.logins() - before, inner.logins()) == (2, 1)
        assert echo(config.model_copy(update={"host": "piped"}), opened) == b"here\n"
        inner.accept_host_key(key=server.key)
        with pytest.raises(FoxnasError, match=r"hidden, \S+: its key has changed"):
            echo(config.model_copy(update={"host": "hidden"}), opened)
    finally:
        inner.kill()


@pytest.mark.parametrize(
    ("kind", "more"),
    [("ed25519", []), ("rsa", ["-b", "2048", "-m", "PEM"]), ("ecdsa", [])],
    ids=["ed25519", "rsa", "ecdsa"],
)
def test_an_encrypted_key_opens_with_the_named_variable(
    server: Sshd,
    tmp_path: Path,
    opened: list[SshTransport],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    more: list[str],
) -> None:
    key = make_key(tmp_path / "locked", kind, "open sesame", *more)
    authorized = server.authorized.read_text()
    server.authorized.write_text(authorized + Path(f"{key}.pub").read_text())
    try:
        config = server.client(IdentityFile=str(key))
        with pytest.raises(FoxnasError, match=r"locked \(encrypted, and no password is configured\)"):
            echo(config, opened)
        config = config.model_copy(update={"password": "FOXNAS_TEST_SECRET"})
        with pytest.raises(FoxnasError, match="the environment variable FOXNAS_TEST_SECRET is not set"):
            echo(config, opened)
        monkeypatch.setenv("FOXNAS_TEST_SECRET", "wrong one")
        with pytest.raises(FoxnasError, match=r"locked \(not opened by the password\)") as caught:
            echo(config, opened)
        assert "wrong one" not in f"{caught.value}{opened[-1].__dict__}"
        monkeypatch.setenv("FOXNAS_TEST_SECRET", "open sesame")
        assert echo(config, opened) == b"here\n"
    finally:
        server.authorized.write_text(authorized)


@pytest.mark.parametrize("in_agent", [False, True])
def test_a_keys_passphrase_is_never_sent_as_a_password(
    server: Sshd, tmp_path: Path, opened: list[SshTransport], monkeypatch: pytest.MonkeyPatch, in_agent: bool
) -> None:
    """Also where the key is refused, and where the agent had it, so that its passphrase was not needed."""
    key, sent = make_key(tmp_path / "locked", "ed25519", "open sesame"), []
    monkeypatch.setattr(paramiko.Transport, "auth_password", lambda self, user, password: sent.append(password) or [])
    monkeypatch.setenv("FOXNAS_TEST_SECRET", "open sesame")
    config = server.client(IdentityFile=str(key)).model_copy(update={"password": "FOXNAS_TEST_SECRET"})
    if in_agent:
        held = paramiko.PKey.from_path(key, b"open sesame")  # as an agent signs with it
        monkeypatch.setattr(authentication, "_keys", lambda *_: iter([("agent key", held)]))
    with pytest.raises(FoxnasError, match=r"no password, since FOXNAS_TEST_SECRET is the passphrase of \S+locked"):
        echo(config, opened)
    assert sent == []
    plain = make_key(tmp_path / "plain")
    config = server.client(IdentityFile=str(plain)).model_copy(update={"password": "FOXNAS_TEST_SECRET"})
    monkeypatch.undo()
    monkeypatch.setattr(paramiko.Transport, "auth_password", lambda self, user, password: sent.append(password) or [])
    monkeypatch.setenv("FOXNAS_TEST_SECRET", "a password")
    with pytest.raises(FoxnasError, match="login refused"):
        echo(config, opened)
    assert sent == ["a password"]


def test_keys_of_an_agent(server: Sshd, tmp_path: Path, opened: list[SshTransport]) -> None:
    if not shutil.which("ssh-agent"):
        pytest.skip("needs ssh-agent: apt-get install openssh-client")
    where = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(where)], stdout=subprocess.DEVNULL)
    try:
        while not where.exists():
            assert agent.poll() is None
        stranger = make_key(tmp_path / "stranger")
        for key in (stranger, server.key):
            environment = {**os.environ, "SSH_AUTH_SOCK": str(where)}
            subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environment, stdin=subprocess.DEVNULL)
        keyless = {"IdentityAgent": str(where), "IdentityFile": str(tmp_path / "none")}
        assert echo(server.client(**keyless, IdentitiesOnly="no"), opened) == b"here\n"
        with pytest.raises(FoxnasError, match="tried nothing, since there is no key"):
            echo(server.client(**keyless), opened)
        shutil.copy(f"{server.key}.pub", tmp_path / "public.pub")  # the private half is in the agent only
        assert echo(server.client(**{**keyless, "IdentityFile": str(tmp_path / "public")}), opened) == b"here\n"
    finally:
        agent.terminate()
        agent.wait()
    with pytest.raises(FoxnasError, match=r"tried the agent at \S+agent \("):
        echo(server.client(**keyless, IdentitiesOnly="no"), opened)


def test_what_the_configuration_forbids_is_not_tried(server: Sshd, opened: list[SshTransport]) -> None:
    with pytest.raises(FoxnasError, match="tried nothing, since there is no key"):
        echo(server.client(PubkeyAuthentication="no"), opened)
    with pytest.raises(FoxnasError, match=r"tried \S+id \(not among your PubkeyAcceptedAlgorithms\)"):
        echo(server.client(PubkeyAcceptedAlgorithms="rsa-sha2-512"), opened)
    assert echo(server.client(PubkeyAcceptedAlgorithms="rsa-sha2-512,ssh-ed25519"), opened) == b"here\n"


def test_the_command_of_an_unknown_key_accepts_it(server: Sshd, opened: list[SshTransport]) -> None:
    for name, more in (("odd", {}), ("alias", {"HostKeyAlias": "the-board"})):
        server.known_hosts.unlink(missing_ok=True)
        config = server.client(name=name, accept=False, **more)
        with pytest.raises(FoxnasError, match="is not known yet") as caught:
            echo(config, opened)
        command = str(caught.value).split("then accept it with: ")[1]
        subprocess.run(command, shell=True, check=True, capture_output=True)
        assert echo(config, opened) == b"here\n"


def test_a_host_never_met_is_taken_for_misspelt(server: Sshd, opened: list[SshTransport]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = server.client(name="typo").model_copy(update={"port": port})
    with pytest.raises(FoxnasError, match=r"Connection refused.*no known_hosts file knows it; is it the right name"):
        echo(config, opened)
    config = server.client(name="typo", HostName="no-such-host.invalid")
    with pytest.raises(FoxnasError, match=r"the name is not found.*is it the right name and port"):
        echo(config, opened)


@pytest.mark.parametrize("name", ["pi..local", ".", "x" * 304, "\u00e9" * 70], ids=["dots", "dot", "long", "accents"])
def test_a_name_that_no_host_can_have_is_one_sentence(name: str, opened: list[SshTransport]) -> None:
    with pytest.raises(FoxnasError, match=r"^SSH host .{1,110}: no host has such a name: between two dots"):
        echo(SshConfig(host=name, config_file="/dev/null"), opened)


class PasswordServer(paramiko.ServerInterface):
    """Lets in who knows the password; OpenSSH would need an account with one."""

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == "s3cret;$x" else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        def answer() -> None:
            channel.sendall(b"here\n")
            channel.send_exit_status(0)
            channel.close()

        threading.Timer(0.05, answer).start()
        return True


def test_a_password_comes_from_a_variable_and_goes_nowhere_else(
    server: Sshd, opened: list[SshTransport], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    listener = socket.create_server(("127.0.0.1", 0))
    served: list[paramiko.Transport] = []

    def serve() -> None:
        for _ in range(2):
            served.append(paramiko.Transport(listener.accept()[0]))
            served[-1].add_server_key(paramiko.PKey.from_path(server.host_key))
            served[-1].start_server(server=PasswordServer())

    threading.Thread(target=serve, daemon=True).start()
    config = server.client(listener.getsockname()[1], name="words", IdentityFile="/none")
    config = config.model_copy(update={"password": "FOXNAS_TEST_SECRET"})
    monkeypatch.setenv("FOXNAS_TEST_SECRET", "wr0ng")
    with pytest.raises(FoxnasError, match=r"tried the password from FOXNAS_TEST_SECRET \(refused\)") as caught:
        echo(config, opened)
    monkeypatch.setenv("FOXNAS_TEST_SECRET", "s3cret;$x")
    assert echo(config, opened) == b"here\n"
    for secret in ("wr0ng", "s3cret;$x"):
        assert secret not in caplog.text + str(caught.value) + repr(opened[-1]._secret)
    for transport in served:
        transport.close()
    listener.close()


def test_a_prompt_without_a_terminal_says_what_to_do_instead(server: Sshd) -> None:
    config = server.client(IdentityFile="/none").model_copy(update={"password": "prompt"})
    script = (
        "from foxnas.device.config import SshConfig; from foxnas.device.ssh.transport import SshTransport\n"
        f"SshTransport(SshConfig.model_validate_json({config.model_dump_json()!r}), 'tflite').run(['true'])"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, start_new_session=True, capture_output=True, text=True, cwd=root, check=False)
    assert "there is no terminal to ask for the password; use a key, an agent, or the name of" in done.stderr


@pytest.mark.parametrize("words", [["yes"], ["sh", "-c", "while :; do echo x; sleep 0.02; done"]], ids=["much", "long"])
def test_a_command_that_writes_without_end_is_ended(server: Sshd, opened: list[SshTransport], words: list[str]) -> None:
    opened.append(SshTransport(server.client(), "tflite"))
    with pytest.raises(FoxnasError, match=f"{words[0]} (wrote more than 16 MB|has not ended after 2 s)"):
        opened[0].run(words, timeout_s=30 if words == ["yes"] else 2)
    assert opened[0].run(["echo", "here"]).stdout == b"here\n"


def test_a_server_that_allows_one_session_is_measured_and_one_that_allows_none_is_told(
    tmp_path_factory: pytest.TempPathFactory, opened: list[SshTransport]
) -> None:
    for allowed in (1, 0):
        only = Sshd(tmp_path_factory.mktemp("few"), sys.executable).start(f"MaxSessions {allowed}")
        before = only.logins()
        try:
            opened.append(SshTransport(only.client().model_copy(update={"python": sys.executable}), "tflite"))
            if allowed:
                for _ in range(20):
                    assert opened[-1].run(["echo", "here"]).stdout == b"here\n"
                for _ in range(3):
                    with Runner(Device("board", opened[-1], lock="few", timeout_s=20), QUICK) as runner:
                        assert runner.measure("a", MODEL)["latency_ms"] > 0
                assert only.logins() - before == 1
            else:
                with pytest.raises(FoxnasError, match=r"refuses a session .*MaxSessions") as refusal:
                    opened[-1].run(["echo", "here"])
                assert not isinstance(refusal.value, DeviceLost)
        finally:
            only.kill()
