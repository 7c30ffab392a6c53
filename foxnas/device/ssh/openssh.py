"""What `ssh` itself makes of ~/.ssh/config: the lines of ``ssh -G``.

OpenSSH applies Include, Host, Match, tokens and canonical names; what is left to us is to honour every
keyword that differs from OpenSSH's defaults, or to refuse it by name.
"""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shlex
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from foxnas.device.ssh.target import Target
from foxnas.errors import FoxnasError

Settings = Mapping[str, Sequence[str]]

_HONOURED = {
    "host", "hostname", "user", "port", "hostkeyalias", "userknownhostsfile", "globalknownhostsfile", "identityfile",
    "identitiesonly", "identityagent", "proxyjump", "proxycommand", "certificatefile", "setenv", "bindaddress",
    "addressfamily", "connecttimeout", "serveraliveinterval", "ciphers", "macs", "kexalgorithms", "hostkeyalgorithms",
    "pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes", "pubkeyauthentication",
}  # fmt: skip

#: These change nothing about a connection without terminal and forwardings, or only relax what stays strict here.
_WITHOUT_EFFECT = {
    "addkeystoagent", "batchmode", "canonicaldomains", "canonicalizefallbacklocal", "canonicalizehostname",
    "canonicalizemaxdots", "canonicalizepermittedcnames", "casignaturealgorithms", "channeltimeout", "checkhostip",
    "clearallforwardings", "compression", "connectionattempts", "controlmaster", "controlpath", "controlpersist",
    "dynamicforward", "enableescapecommandline", "enablesshkeysign", "escapechar", "exitonforwardfailure",
    "fingerprinthash", "forkafterauthentication", "forwardagent", "forwardx11", "forwardx11timeout",
    "forwardx11trusted", "gatewayports", "gssapiauthentication", "gssapiclientidentity", "gssapidelegatecredentials",
    "gssapikexalgorithms", "gssapikeyexchange", "gssapirenewalforcesrekey", "gssapiserveridentity", "gssapitrustdns",
    "hashknownhosts", "hostbasedacceptedalgorithms", "hostbasedauthentication", "hostbasedkeytypes", "ignoreunknown",
    "ipqos", "kbdinteractiveauthentication", "kbdinteractivedevices", "localforward", "loglevel", "logverbose",
    "nohostauthenticationforlocalhost", "numberofpasswordprompts", "obscurekeystroketiming", "passwordauthentication",
    "permitremoteopen", "preferredauthentications", "refuseconnection", "rekeylimit",
    "remoteforward", "requesttty", "requiredrsasize", "securitykeyprovider", "sendenv", "serveralivecountmax",
    "sessiontype", "stdinnull", "streamlocalbindmask", "streamlocalbindunlink", "stricthostkeychecking",
    "syslogfacility", "tag", "tcpkeepalive", "tunnel", "tunneldevice", "updatehostkeys", "verifyhostkeydns",
    "visualhostkey", "warnweakcrypto", "xauthlocation",
}  # fmt: skip

_ALGORITHMS = {
    "ciphers": "ciphers",
    "macs": "digests",
    "kexalgorithms": "kex",
    "hostkeyalgorithms": "keys",
    "pubkeyacceptedalgorithms": "pubkeys",
    "pubkeyacceptedkeytypes": "pubkeys",
}
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


def resolve(name: str, user: str | None, port: int | None, config_file: str | None, ssh: str = "ssh") -> Target:
    """Return where `name` leads, as ``ssh [-F config_file] [-l user] [-p port] name`` would go.

    Raises FoxnasError when OpenSSH refuses its configuration, or for a keyword that cannot be honoured.
    """
    options = [*(["-l", user] if user else []), *(["-p", str(port)] if port else [])]
    settings = _ask(ssh, ["-F", str(Path(config_file).expanduser())] if config_file else [], options, name)
    usual = _ask(ssh, ["-F", "none"], options, name)
    return honoured(name, settings, {key for key in settings if settings[key] != usual.get(key)})


def honoured(name: str, settings: Settings, changed: set[str], advice: str = "") -> Target:
    """Return the target that resolved settings describe.

    Raises FoxnasError, with `advice`, if one of those that were `changed` from the default cannot be honoured.
    """
    if foreign := sorted(changed - _HONOURED - _WITHOUT_EFFECT):
        raise FoxnasError(
            f"SSH host {name}: {foreign[0]} {' '.join(settings[foreign[0]])!r}, which your SSH configuration sets for "
            f"it, cannot be honoured here; give {name} a Host block without it, or another file as the device's "
            f"config_file{advice}"
        )
    return _target(name, settings, changed)


def _ask(ssh: str, file: list[str], options: list[str], name: str) -> dict[str, list[str]]:
    command = [ssh, "-G", *file, *options, "--", name]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise FoxnasError(
            f"SSH host {name!r}: {shlex.join(command)} says: {'; '.join(done.stderr.splitlines())[-500:]}"
        )
    settings: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        settings.setdefault(key.lower(), []).append(value)
    return settings


def _target(name: str, settings: Settings, changed: set[str]) -> Target:
    def one(key: str, default: str = "none") -> str:
        return settings.get(key, [default])[0]

    def given(key: str) -> str | None:
        return None if one(key).lower() == "none" else one(key)

    host, port, user = one("hostname", name), one("port", "22"), one("user")
    tokens = _tokens(name, host, port, user, given("hostkeyalias") or name)
    files = [_path(text, name, tokens) for text in settings.get("identityfile", ())]
    for certificate in settings.get("certificatefile", ()):
        if _path(certificate, name, tokens) not in [Path(f"{file}-cert.pub") for file in files]:
            raise FoxnasError(
                f"SSH host {name}: certificatefile {certificate!r} cannot be honoured here; a certificate is found "
                "beside its key, as KEY-cert.pub"
            )
    with_keys = one("pubkeyauthentication", "yes") not in ("no", "false")
    proxy = given("proxycommand")
    if proxy and one("proxyusefdpass", "no") == "yes":
        raise FoxnasError(f"SSH host {name}: proxyusefdpass 'yes' cannot be honoured here")
    interval = int(one("serveraliveinterval", "0"))
    timeout = given("connecttimeout")
    return Target(
        name=name,
        host=host,
        port=int(port),
        user=user,
        host_key_alias=given("hostkeyalias"),
        known_hosts=tuple(_files(settings, "userknownhostsfile") + _files(settings, "globalknownhostsfile")),
        identity_files=tuple(files) if with_keys else (),
        identities_only=one("identitiesonly", "no") == "yes",
        agent=agent_socket(one("identityagent", "SSH_AUTH_SOCK")) if with_keys else None,
        jumps=tuple(jump for jump in (given("proxyjump") or "").split(",") if jump),
        proxy_command=expand_tokens(proxy, name, tokens) if proxy else None,
        environment=tuple(_pair(text) for text in settings.get("setenv", ())),
        bind_address=given("bindaddress"),
        address_family=_FAMILIES[one("addressfamily", "any")],
        connect_timeout_s=float(timeout) if timeout else 30.0,
        keepalive_s=interval or 30,
        algorithms=tuple((_ALGORITHMS[key], tuple(one(key).split(","))) for key in sorted(changed & set(_ALGORITHMS))),
    )


def _files(settings: Settings, key: str) -> list[Path]:
    paths = [path for line in settings.get(key, ()) for path in _apart(line)]
    return [_expanded(path) for path in paths if path.lower() != "none"]


def _apart(line: str) -> list[str]:
    """Take apart the paths of one line of ``ssh -G``, which says neither where one ends nor quotes any.

    A path goes on behind a space unless what follows begins one; where files exist, what they are called counts.
    """
    parts = re.split(r" (?=[~/])", line)
    paths: list[str] = []
    while parts:
        ends = range(len(parts), 0, -1)
        end = next((end for end in ends if _expanded(" ".join(parts[:end])).exists()), 1)
        path, parts = " ".join(parts[:end]), parts[end:]
        words = path.split()
        several = not _expanded(path).exists() and any(_expanded(word).exists() for word in words)
        paths += words if several or "none" in map(str.lower, words) else [path]
    return paths


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def agent_socket(identity_agent: str) -> str | None:
    """Return the socket that IdentityAgent's value means, None for no agent."""
    if identity_agent == "none":
        return None
    if identity_agent == "SSH_AUTH_SOCK" or identity_agent.startswith("$"):
        return os.environ.get(identity_agent.lstrip("$").strip("{}")) or None
    return str(_expanded(identity_agent))


def _tokens(name: str, host: str, port: str, user: str, key_name: str) -> dict[str, str]:
    local = socket.gethostname()
    return {
        "%": "%", "h": host, "n": name, "p": port, "r": user, "k": key_name,
        "d": str(home()), "i": str(os.getuid()), "u": getpass.getuser(), "l": local, "L": local.split(".")[0],
    }  # fmt: skip


def expand_tokens(text: str, name: str, tokens: Mapping[str, str]) -> str:
    """Return `text` with its tokens (ssh_config(5)) replaced. Raises FoxnasError for one that is not among them."""

    def replace(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise FoxnasError(f"SSH host {name}: the token %{found[1]} in {text!r} cannot be honoured here")
        return tokens[found[1]]

    return re.sub("%(.)", replace, text)


def _path(text: str, name: str, tokens: Mapping[str, str]) -> Path:
    """`ssh -G` leaves tokens, variables and ~ in the names of keys as they are."""
    return _expanded(expand_tokens(os.path.expandvars(text), name, tokens))


def home() -> Path:
    """Return the user's home folder as OpenSSH knows it, whatever HOME says."""
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def _expanded(path: str) -> Path:
    return home() / path[2:] if path.startswith("~/") else Path(path).expanduser()
