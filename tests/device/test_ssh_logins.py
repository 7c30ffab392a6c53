"""Logins that `ssh` makes are made here: each is tried beside `ssh` with the same configuration, on a real server."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foxnas.device.config import SshConfig
from foxnas.device.ssh import openssh, without_openssh
from foxnas.device.ssh.known_hosts import accepting_command
from foxnas.device.ssh.target import Target
from foxnas.device.ssh.transport import SshTransport
from foxnas.errors import FoxnasError
from tests.support.sshd import Sshd, make_key

pytestmark = pytest.mark.skipif(
    not (shutil.which("ssh") and shutil.which("ssh-agent")),
    reason="needs OpenSSH's client and its agent: apt-get install openssh-client",
)

KINDS = ["ed25519", "rsa", "ecdsa"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that takes certificates of an authority, and of plain keys its own alone.

    It agrees on a session's key as ours does: OpenSSH's first choice, which ours lacks, takes three times as long.
    """
    folder = tmp_path_factory.mktemp("sshd")
    authority = make_key(folder / "authority")
    running = Sshd(folder / "server", sys.executable)
    running.start(f"TrustedUserCAKeys {authority}.pub", "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org")
    yield running
    running.kill()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """The socket of an agent without keys."""
    where = tmp_path / "agent"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(where)], stdout=subprocess.DEVNULL)
    while not where.exists():
        assert running.poll() is None
    yield where
    running.terminate()
    running.wait()


def add(agent: Path, key: Path, *words: str) -> None:
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", *words, str(key)], check=True, env=environment, stdin=subprocess.DEVNULL)


def key_of(server: Sshd, path: Path, kind: str) -> Path:
    """Copy the key of that kind which is made for all tests: an RSA key takes half a second."""
    made = server.folder.parent / kind
    if not made.exists():
        make_key(made, kind)
    for suffix in ("", ".pub"):
        shutil.copy(f"{made}{suffix}", f"{path}{suffix}")
    return path


def certify(server: Sshd, key: Path) -> Path:
    """Make KEY-cert.pub, which the server takes for whoever runs the test."""
    authority = server.folder.parent / "authority"
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-n", user, f"{key}.pub"]
    subprocess.run(words, check=True, capture_output=True)
    return Path(f"{key}-cert.pub")


def ours(config: SshConfig) -> str:
    """What comes of a login here: nothing, or what is said against it."""
    transport = SshTransport(config, "tflite")
    try:
        assert transport.run(["echo", "here"]).stdout == b"here\n"
    except FoxnasError as error:
        return str(error)
    finally:
        transport.close()
    return ""


def theirs(config: SshConfig) -> bool:
    """Whether `ssh` logs in with the same configuration, asking nothing."""
    words = ["ssh", "-F", str(config.config_file), "-o", "BatchMode=yes", config.host, "echo here"]
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "SSH_ASKPASS")}
    done = subprocess.run(words, capture_output=True, check=False, env=environment, stdin=subprocess.DEVNULL)
    return done.stdout == b"here\n"


def both(config: SshConfig) -> bool:
    """Whether both log in. They have to agree."""
    said = ours(config)
    assert (said == "") == theirs(config), said or "ssh does not get in"
    return not said


def test_an_identity_file_that_is_a_public_key(server: Sshd, agent: Path, tmp_path: Path) -> None:
    shutil.copy(f"{server.key}.pub", tmp_path / "x.pub")
    config = server.client(IdentityFile=str(tmp_path / "x.pub"), IdentityAgent=str(agent))
    assert not both(config)
    assert r"x.pub (a public key, whose private half no agent has)" in ours(config)
    add(agent, make_key(tmp_path / "stranger"))
    add(agent, server.key)
    assert both(config)


def test_an_encrypted_key_without_a_public_file_whose_open_half_is_in_the_agent(
    server: Sshd, agent: Path, tmp_path: Path
) -> None:
    add(agent, server.key)
    shutil.copy(server.key, tmp_path / "k")
    (tmp_path / "k").chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "sesame", "-f", str(tmp_path / "k")], check=True)
    assert both(server.client(IdentityFile=str(tmp_path / "k"), IdentityAgent=str(agent)))


@pytest.mark.parametrize("only", ["yes", "no"])
@pytest.mark.parametrize(
    "where", ["agent", "agent, files without the private half", "agent has the key alone", "files"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_certificates(server: Sshd, agent: Path, tmp_path: Path, kind: str, where: str, only: str) -> None:
    key = key_of(server, tmp_path / "k", kind)
    if where == "agent has the key alone":
        add(agent, key)
    certificate = certify(server, key)
    if where.startswith("agent,") or where == "agent":
        add(agent, key)
    if where == "agent":
        certificate.unlink()
    if where != "files":
        key.unlink()
    config = server.client(IdentityFile=str(key), IdentityAgent=str(agent), IdentitiesOnly=only)
    assert both(config) == (where != "agent" or only == "no")


@pytest.mark.parametrize("only", ["yes", "no"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_that_is_alone_in_the_agent(
    server: Sshd, agent: Path, tmp_path: Path, kind: str, only: str
) -> None:
    key = key_of(server, tmp_path / "k", kind)
    certify(server, key)
    add(agent, key)
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    shutil.copy(f"{key}.pub", tmp_path / "plain.pub")
    subprocess.run(["ssh-add", "-q", "-d", str(tmp_path / "plain.pub")], check=True, env=environment)
    key.unlink()
    config = server.client(IdentityFile=str(key), IdentityAgent=str(agent), IdentitiesOnly=only)
    assert not ours(config), "ssh looks for a private half of the public file alone, and does not get in"
    Path(f"{key}.pub").unlink()
    assert both(config)


@pytest.mark.parametrize(
    ("accepted", "which"),
    [
        ("rsa-sha2-512-cert-v01@openssh.com", "certificate"),
        ("rsa-sha2-256", "key"),
        ("ssh-ed25519,rsa-sha2-512", "key"),
        ("ssh-ed25519", "none"),
    ],
)
@pytest.mark.parametrize("in_agent", [False, True])
def test_only_algorithms_that_the_configuration_accepts(
    server: Sshd, agent: Path, tmp_path: Path, accepted: str, which: str, in_agent: bool
) -> None:
    """Of an RSA key that the server takes either way."""
    key = key_of(server, tmp_path / "k", "rsa")
    certify(server, key)
    if in_agent:
        add(agent, key)
    before = server.authorized.read_text()
    log = len((server.folder / "log").read_text())
    server.authorized.write_text(before + Path(f"{key}.pub").read_text())
    try:
        config = server.client(IdentityFile=str(key), IdentityAgent=str(agent), PubkeyAcceptedAlgorithms=accepted)
        assert both(config) == (which != "none")
    finally:
        server.authorized.write_text(before)
    said = [line for line in (server.folder / "log").read_text()[log:].splitlines() if "Accepted publickey" in line]
    assert ["RSA-CERT" in line for line in said] == ([which == "certificate"] * 2 if said else [])


def test_a_certificate_of_a_stranger_beside_a_key_that_is_taken(server: Sshd, agent: Path, tmp_path: Path) -> None:
    stranger = make_key(tmp_path / "authority")
    key = tmp_path / "k"
    for suffix in ("", ".pub"):
        shutil.copy(f"{server.key}{suffix}", f"{key}{suffix}")
    subprocess.run(["ssh-keygen", "-q", "-s", str(stranger), "-I", "x", "-n", "nobody", f"{key}.pub"], check=True)
    assert both(server.client(IdentityFile=str(key)))
    add(agent, key)
    assert both(server.client(IdentityFile=str(key), IdentityAgent=str(agent)))


def test_an_agent_that_declines_one_key(server: Sshd, agent: Path, tmp_path: Path) -> None:
    """One that asks before it signs, and has nobody to ask."""
    locked = make_key(tmp_path / "locked")
    authorized = server.authorized.read_text()
    server.authorized.write_text(authorized + Path(f"{locked}.pub").read_text())
    try:
        add(agent, locked, "-c")
        config = server.client(IdentityFile="/none", IdentityAgent=str(agent), IdentitiesOnly="no")
        assert not both(config)
        assert "the agent declines to sign" in ours(config)
        add(agent, server.key)
        assert both(config)
    finally:
        server.authorized.write_text(authorized)


def known_elsewhere(server: Sshd, *files: Path) -> SshConfig:
    """A client that knows the server's key from the first of these files alone."""
    config = server.client(UserKnownHostsFile=" ".join(f'"{file}"' for file in files))
    files[0].parent.mkdir(parents=True, exist_ok=True)
    server.known_hosts.replace(files[0])
    return config


def test_known_hosts_files_with_spaces_in_their_paths(server: Sshd, tmp_path: Path) -> None:
    names = ["my hosts", "a  b/c d", "none of it", "plain", "x /y z"]
    for i, name in enumerate(names):
        for others in ([], [tmp_path / "missing one"], [tmp_path / "missing"]):
            folder = tmp_path / str(i)
            assert both(known_elsewhere(server, folder / name, *others)), name


def test_known_hosts_files_with_spaces_without_openssh(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f'Host pi\n  UserKnownHostsFile "{tmp_path}/a b/known" {tmp_path}/c\n')
    expected = (tmp_path / "a b" / "known", tmp_path / "c")
    assert without_openssh.resolve("pi", None, None, str(config)).known_hosts[:2] == expected
    (tmp_path / "a b").mkdir()
    expected[0].touch()
    for resolve in (without_openssh.resolve, openssh.resolve):
        assert resolve("pi", None, None, str(config)).known_hosts[:2] == expected
    config.write_text('Host pi\n  UserKnownHostsFile "/a b\n')
    with pytest.raises(FoxnasError, match=r"a quote that does not end"):
        without_openssh.resolve("pi", None, None, str(config))


def test_an_authority_for_host_keys_is_named_and_the_way_out_works(
    server: Sshd, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = make_key(tmp_path / "host_authority")
    certified = Sshd(tmp_path_factory.mktemp("certified"), sys.executable)
    words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "host", "-h", "-n", "127.0.0.1,board"]
    subprocess.run([*words, f"{certified.host_key}.pub"], check=True, capture_output=True)
    certified.start(f"HostCertificate {certified.host_key}-cert.pub")
    try:
        config = certified.client(accept=False, HostKeyAlias="board")
        kind, content = Path(f"{authority}.pub").read_text().split()[:2]
        certified.known_hosts.write_text(f"@cert-authority board {kind} {content}\n")
        assert theirs(config)
        said = ours(config)
        assert f"{certified.known_hosts}, line 1 trusts an authority (@cert-authority) for it" in said
        fingerprint = subprocess.run(
            ["ssh-keygen", "-lf", f"{certified.host_key}.pub"], check=True, capture_output=True, text=True
        ).stdout.split()[1]
        assert fingerprint in said
        subprocess.run(said.split("then accept it with: ")[1], shell=True, check=True, capture_output=True)
        assert both(config)
    finally:
        certified.kill()


@pytest.mark.parametrize(
    ("jump", "user", "host", "port"),
    [
        ("me@gate:2222", "me", "gate", "2222"),
        ("ssh://me@gate:2222", "me", "gate", "2222"),
        ("outer,me@[::1]:2022", "me", "::1", "2022"),
        ("gate", None, "gate", None),
    ],
)
def test_ssh_understands_the_jump_of_a_printed_remedy(
    tmp_path: Path, jump: str, user: str | None, host: str, port: str | None
) -> None:
    target = Target(name="pi", host="pi", port=22, user="me", jumps=tuple(jump.split(",")))
    words = shlex.split(accepting_command(target).split(" >> ")[0])
    assert words[-1] == "ssh-keyscan pi"
    done = subprocess.run([words[0], "-G", "-F", "/dev/null", *words[1:-1]], capture_output=True, text=True, check=True)
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert found["hostname"] == host
    assert found["port"] == (port or "22")
    assert user is None or found["user"] == user
    assert found.get("proxyjump") == (jump.split(",")[0] if "," in jump else None)
