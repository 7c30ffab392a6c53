"""Where a name leads and whose keys are trusted, held against OpenSSH's own programs."""

from __future__ import annotations

import base64
import dataclasses
import getpass
import shutil
import subprocess
from pathlib import Path

import paramiko
import pytest

from foxnas.device.ssh import openssh, without_openssh
from foxnas.device.ssh.connection import restrict
from foxnas.device.ssh.known_hosts import check_host_key, known_keys, matches, preferred_kinds
from foxnas.device.ssh.openssh import home
from foxnas.device.ssh.resolution import hops_to
from foxnas.device.ssh.target import Target
from foxnas.errors import FoxnasError
from tests.support.sshd import make_key

pytestmark = pytest.mark.skipif(
    not shutil.which("ssh"), reason="needs OpenSSH's client: apt-get install openssh-client"
)


def write(folder: Path, text: str, name: str = "config") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_include_host_match_and_tokens_are_openssh_s(tmp_path: Path) -> None:
    write(tmp_path, "Host pi*\n  User fox\n  IdentityFile %d/.ssh/%r-at-%h\n  Port 2200\n", "more")
    config = write(
        tmp_path,
        f'Include {tmp_path}/more\nMatch host pi4 exec "test %n = pi4"\n  HostName 10.0.0.4\n  HostKeyAlias the-pi\n'
        f"Host *\n  UserKnownHostsFile {tmp_path}/a {tmp_path}/b\n  ServerAliveInterval 7\n  User nobody\n"
        "  SetEnv LC_FOX=1 LC_NAS='a b'\n  ConnectTimeout 4\n",
    )
    (target,) = hops_to("pi4", config_file=config)
    assert (target.host, target.port, target.user, target.key_name) == ("10.0.0.4", 2200, "fox", "the-pi")
    assert target.identity_files == (home() / ".ssh" / "fox-at-10.0.0.4",)
    assert target.known_hosts[:2] == (tmp_path / "a", tmp_path / "b")
    assert target.environment == (("LC_FOX", "1"), ("LC_NAS", "a b"))
    assert (target.keepalive_s, target.connect_timeout_s) == (7, 4.0)
    (other,) = hops_to("elsewhere", user="me", port=99, config_file=config)
    assert (other.host, other.port, other.user, other.key_name) == ("elsewhere", 99, "me", "[elsewhere]:99")


@pytest.mark.parametrize(
    ("line", "keyword"),
    [
        ("PKCS11Provider /usr/lib/pkcs11.so", "pkcs11provider '/usr/lib/pkcs11.so'"),
        ("KnownHostsCommand /bin/true", "knownhostscommand '/bin/true'"),
        ("RevokedHostKeys /etc/revoked", "revokedhostkeys '/etc/revoked'"),
        ("RemoteCommand tmux attach", "remotecommand 'tmux attach'"),
        ("BindInterface eth0", "bindinterface 'eth0'"),
        ("PermitLocalCommand yes", "permitlocalcommand 'yes'"),
        ("CertificateFile /elsewhere/id-cert.pub", "certificatefile '/elsewhere/id-cert.pub'"),
        ("IdentityFile /k/%C", "the token %C"),
    ],
)
def test_a_keyword_that_cannot_be_honoured_is_refused_by_name(tmp_path: Path, line: str, keyword: str) -> None:
    config = write(tmp_path, f"Host pi\n  {line}\n")
    with pytest.raises(FoxnasError, match=f"SSH host pi: .*{keyword}.*cannot be honoured here"):
        hops_to("pi", config_file=config)
    hops_to("another", config_file=config)


def test_an_openssh_error_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(FoxnasError, match=r"says: .*line 2: Bad configuration option: usr"):
        hops_to("pi", config_file=write(tmp_path, "Host pi\n  Usr me\n"))


@pytest.mark.parametrize("name", ["pi; rm -rf ~", "$(id)", "`id`", "-oProxyCommand=id", "a\nb", "a b", "pi|id"])
def test_shell_characters_in_a_name_are_refused(tmp_path: Path, name: str) -> None:
    config = write(tmp_path, "Host *\n  ProxyCommand touch %h %r\n")
    for host, user in ((name, None), ("pi", name)):
        with pytest.raises(FoxnasError, match=r"^SSH: .* is not allowed"):
            hops_to(host, user, config_file=config)


def test_jumps_over_several_hops_and_in_circles(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        "Host pi\n  ProxyJump gate,me@[::1]:2022,ssh://inner:23\n"
        "Host gate\n  HostName gate.example\n  ProxyJump outer\n"
        "Host inner\n  ProxyJump never-asked\nHost one\n  ProxyJump two\nHost two\n  ProxyJump one\n",
    )
    hops = hops_to("pi", config_file=config)
    me = getpass.getuser()
    assert [(hop.user, hop.host, hop.port) for hop in hops] == [
        (me, "outer", 22), (me, "gate.example", 22), ("me", "::1", 2022), (me, "inner", 23), (me, "pi", 22),
    ]  # fmt: skip
    with pytest.raises(FoxnasError, match="one: its ProxyJump leads over more than 8 hops; is it a circle"):
        hops_to("one", config_file=config)


WITHOUT = """
Host pi
  HostName %h.example
  User fox
  IdentityFile ~/.ssh/pi_%r
  IdentityFile /keys/second
  IdentitiesOnly yes
Match originalhost pi user fox
  Port 2201
  UserKnownHostsFile /known/one /known/two
Host *
  GlobalKnownHostsFile /known/all
  ServerAliveInterval 20
  ConnectTimeout 9
  ProxyJump a@gate:2022,inner
  ForwardAgent yes
  SetEnv LC_A=b
  Port 99
"""


@pytest.mark.parametrize(("name", "user", "port"), [("pi", None, None), ("pi", "fox", 7), ("box", None, None)])
def test_without_openssh_the_same_file_leads_to_the_same_place(
    tmp_path: Path, name: str, user: str | None, port: int | None
) -> None:
    config = write(tmp_path, WITHOUT)
    expected = openssh.resolve(name, user, port, config)
    got = without_openssh.resolve(name, user, port, config)
    if name == "box":  # OpenSSH also names kinds of keys that paramiko cannot read
        expected = dataclasses.replace(expected, identity_files=got.identity_files)
    assert got == expected


@pytest.mark.parametrize("line", ["Include more", "PKCS11Provider /x", "Unheard yes"])
def test_without_openssh_what_paramiko_does_not_honour_is_refused_by_name(tmp_path: Path, line: str) -> None:
    config = write(tmp_path, f"Host pi\n  {line}\n")
    with pytest.raises(
        FoxnasError, match=f"pi: {line.split()[0].lower()} .*or install OpenSSH's client on this machine"
    ):
        without_openssh.resolve("pi", None, None, config)
    with pytest.raises(FoxnasError, match="cannot be read"):
        without_openssh.resolve("pi", None, None, str(tmp_path / "missing"))


def test_algorithms_are_narrowed_to_what_the_configuration_allows(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        "Host pi\n  Ciphers aes256-ctr,chacha20-poly1305@openssh.com\n  MACs hmac-sha2-512\n"
        "Host old\n  Ciphers chacha20-poly1305@openssh.com\n",
    )
    transport = paramiko.Transport.__new__(paramiko.Transport)
    restrict(transport, hops_to("pi", config_file=config)[0])
    options = transport.get_security_options()
    assert (options.ciphers, options.digests) == (("aes256-ctr",), ("hmac-sha2-512",))
    with pytest.raises(FoxnasError, match="old: paramiko knows none of the ciphers that your SSH configuration allows"):
        restrict(transport, hops_to("old", config_file=config)[0])


def key_line(key: Path, patterns: str) -> str:
    return f"{patterns} {' '.join(Path(f'{key}.pub').read_text().split()[:2])} somebody@somewhere\n"


def loaded(key: Path) -> paramiko.PKey:
    return paramiko.PKey.from_path(key)


@pytest.mark.parametrize(
    ("patterns", "name"),
    [
        ("pi", "pi"), ("pi", "pie"), ("pi,10.0.0.4", "10.0.0.4"), ("*.example", "a.example"), ("*.example", "example"),
        ("10.0.?.*", "10.0.5.77"), ("*.example,!bad.example", "bad.example"), ("[pi]:2200", "[pi]:2200"),
        ("[pi]:2200", "pi"), ("pi", "[pi]:2200"), ("[*]:2200", "[box]:2200"), ("PI", "pi"), ("p,i", "p,i"),
    ],
)  # fmt: skip
def test_a_line_is_about_a_host_when_ssh_keygen_finds_it(tmp_path: Path, patterns: str, name: str) -> None:
    file = tmp_path / "known"
    file.write_text(key_line(make_key(tmp_path / "k"), patterns))
    found = (
        subprocess.run(["ssh-keygen", "-F", name, "-f", str(file)], capture_output=True, check=False).returncode == 0
    )
    assert matches(patterns, name) == found
    if "*" not in patterns and "?" not in patterns:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
        assert "|1|" in file.read_text()
        assert bool(known_keys([file], name)) == found


def test_only_an_accepted_key_passes_and_the_message_has_the_command(tmp_path: Path) -> None:
    first, second = make_key(tmp_path / "one"), make_key(tmp_path / "two", "ecdsa")
    known = tmp_path / "known hosts"
    target = Target(name="pi", host="pi.example", port=22, user="me", known_hosts=(tmp_path / "none", known))
    unknown = (
        r"its key \(ssh-ed25519 SHA256:\S+\) is not known yet.*accept it with: ssh-keyscan pi.example >> '?\S+none"
    )
    with pytest.raises(FoxnasError, match=unknown):
        check_host_key(target, loaded(first))
    known.write_text("# a comment\n\npi.example ssh-ed25519 !!damaged!!\n" + key_line(first, "pi.example"))
    check_host_key(target, loaded(first))
    assert preferred_kinds(target) == ["ssh-ed25519"]
    changed = (
        r"has changed: now ecdsa\S+ SHA256:\S+, but .*known hosts, line 4 says ssh-ed25519 SHA256"
        r".*ssh-keygen -R pi.example -f '.*known hosts' && ssh-keyscan"
    )
    with pytest.raises(FoxnasError, match=changed):
        check_host_key(target, loaded(second))
    known.write_text(key_line(first, "@revoked *") + key_line(first, "pi.example"))
    with pytest.raises(FoxnasError, match=r"is revoked in .*known hosts, line 1"):
        check_host_key(target, loaded(first))
    forgetful = dataclasses.replace(target, known_hosts=(Path("/dev/null"),))
    with pytest.raises(FoxnasError, match=r">> FILE, and a UserKnownHostsFile FILE for pi in your SSH configuration"):
        check_host_key(forgetful, loaded(first))
    known.write_text(key_line(first, "@cert-authority pi.example"))
    with pytest.raises(FoxnasError, match="is not known yet"):
        check_host_key(target, loaded(first))


def test_the_shown_fingerprint_is_ssh_keygen_s(tmp_path: Path) -> None:
    key = make_key(tmp_path / "k", "rsa", "", "-b", "2048")
    shown = subprocess.run(["ssh-keygen", "-l", "-f", f"{key}.pub"], check=True, capture_output=True, text=True).stdout
    target = Target(name="pi", host="pi", port=22, user="me", known_hosts=(tmp_path / "none",))
    with pytest.raises(FoxnasError) as caught:
        check_host_key(target, loaded(key))
    assert shown.split()[1] in str(caught.value)
    assert base64.b64decode(Path(f"{key}.pub").read_text().split()[1]) == loaded(key).asbytes()
