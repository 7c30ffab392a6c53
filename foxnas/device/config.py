"""The devices, and how models are timed on them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from foxnas.device.kinds import NAME, kind_of, our_kinds
from foxnas.device.latency_plan import LatencyPlanConfig
from foxnas.device.like import LikeConfig
from foxnas.device.npu import NpuConfig
from foxnas.device.protocol import Protocol, TorchOptions
from foxnas.errors import FoxnasError
from foxnas.settings.limits import Count, Name
from foxnas.settings.section import HostPath, Section
from foxnas.tables.config import LatencyTableConfig


def _installed(name: str) -> str:
    kind_of(name)
    return name


Kind = Annotated[
    Name,
    AfterValidator(_installed),
    WithJsonSchema({"anyOf": [{"enum": [*our_kinds()]}, {"type": "string", "pattern": NAME}]}),
]


#: One word of a command line.
HostName = Annotated[str, Field(min_length=1, pattern=r"^\S+$")]


def _host_may_be_of_hosts(schema: dict[str, Any]) -> None:
    """Have a JSON schema do without a host, which a rack's `hosts` give."""
    del schema["required"]


class SshConfig(Section):
    """The way to a device over SSH, as `ssh` itself would take it: ~/.ssh/config is honoured."""

    model_config = ConfigDict(json_schema_extra=_host_may_be_of_hosts)

    host: HostName
    """What you type after `ssh`: an address, or a Host of your ~/.ssh/config. Another host is measured anew; of what
    follows, only `python` is part of a measurement."""
    user: Annotated[str, Field(min_length=1)] | None = None
    """null: as ~/.ssh/config says, else your own name."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """null: as ~/.ssh/config says, else 22."""
    config_file: HostPath | None = None
    """Read this file instead of ~/.ssh/config, as `ssh -F` does; null: the usual ones."""
    password: Literal["prompt"] | Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
    """null: agent and key files only. prompt: ask for it. Else the name of the environment variable that holds it
    (for an encrypted key: the key's passphrase). Never the password itself."""
    folder: Annotated[str, Field(min_length=1)] = ".foxnas"
    """Where the runner and its environment live on the device; a relative path starts at the home folder."""
    python: Annotated[str, Field(min_length=1)] | None = None
    """The Python that runs the runner, which provisioning then leaves as it is; null: the environment that provisioning
    makes in `folder`."""
    wheels: HostPath | None = None
    """A folder of this host with the wheels to install there, for when neither has a network. null: this host fetches
    them."""


class PatienceConfig(Section):
    """How long to wait for a device before giving up; what was measured is kept in any case."""

    silence_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest silence, beyond what measuring itself takes, before the connection counts as lost."""
    away_minutes: Annotated[float, Field(ge=0)] = 120.0
    """A lost device is tried again, after pauses that double up to a minute, until nothing came for so long."""
    busy_minutes: Annotated[float, Field(ge=0)] = 720.0
    """Longest wait while somebody else measures on the device."""


class CompilerLimits(Section):
    """What of `CompilerConfig` decides what comes out, wherever the program lies."""

    timeout_s: Count
    runtime: int


class CompilerConfig(Section):
    """The Edge TPU compiler, which runs on this host and not on the device."""

    executable: HostPath = "edgetpu_compiler"
    """A name on PATH, or a path; x86-64 Linux only. docs/how-to/coral.md has the commands that install it."""
    timeout_s: Count = 180
    """Longest time for one model; past it, the model is a row with its reason."""
    runtime: Annotated[int, Field(ge=10, le=14)] = 14
    """Oldest Edge TPU runtime that the models must run on. 14, of July 2021, is the newest there is."""

    @property
    def limits(self) -> CompilerLimits:
        """What a compilation depends on, besides the compiler's version, which its cache goes by."""
        return CompilerLimits(timeout_s=self.timeout_s, runtime=self.runtime)


class MeasuredConfig(Section):
    """A device as far as a measurement depends on it; a journal also goes by what the machine says it is."""

    name: Name
    kind: Kind
    host: str | None
    """As in `SshConfig`; null for this machine."""
    python: str | None
    """As in `SshConfig`."""
    torch: TorchOptions | None
    protocol: Protocol
    runtime: list[str] | None = None
    """What this host has or installs there to run models, with versions; null where the device's owner decides."""
    code: str | None = None
    """Digest of the code of its kind."""


class AccessConfig(Section):
    """How a device is reached and waited for: nothing that is measured depends on it."""

    ssh: SshConfig | None
    """Of a rack, that of the first board."""
    patience: PatienceConfig
    hosts: list[str] | None = None
    """As in `DeviceConfig`."""
    max_board_difference: float = 0.1
    """As in `DeviceConfig`."""

    @property
    def boards(self) -> list[SshConfig]:
        """The way to each board of a rack; empty for a device that is none."""
        return [self.ssh.model_copy(update={"host": host}) for host in self.hosts or () if self.ssh]


class DeviceConfig(Section):
    """A device that models are timed on."""

    name: Name
    """Names its files."""
    kind: Kind
    """What runs the models there. tflite: LiteRT or tflite-runtime, whichever it has. ethos-u: nothing; latency is the
    estimate of Arm's compiler. table: nothing; latencies are those of a table of yours. Other packages bring further
    kinds (docs/how-to/add-a-device-kind.md)."""
    ssh: SshConfig | None = None
    """The way to it. null: this machine itself; while it measures, nothing else of the workflow runs."""
    hosts: Annotated[list[HostName], Field(min_length=1)] | None = None
    """Several boards of one kind that are measured on side by side as one device; each as in `ssh.host`, which is left
    out then. The other keys of `ssh` hold for all of them. Latencies are stated as the first board's: another first
    board is measured anew, and further ones change nothing that was measured. null: no rack."""
    max_board_difference: Annotated[float, Field(gt=0)] = 0.1
    """Share by which the reference probes may take more or less time on one of the `hosts` than on the first; beyond,
    the board takes no part. Boards of one kind differ by some percent; a tenth is the work of heat, of another clock or
    of another program."""
    patience: PatienceConfig = PatienceConfig()
    compiler: CompilerConfig | None = None
    """For an edgetpu device, which has a section with its defaults when this is left out, and for no other."""
    max_model_bytes: Count | None = None
    """The search proposes no model whose int8 file is larger; null: no limit. An edgetpu device has one, 6000000
    when this is left out: the paper found latency to suffer past about 6 MB, when parameters no longer fit on the
    chip."""
    torch: TorchOptions | None = None
    """For a torch device, which has a section with its defaults when this is left out, and for no other."""
    npu: NpuConfig | None = None
    """For an ethos-u device, which needs one, and for no other."""
    table: LatencyTableConfig | None = None
    """For a table device, which needs one, and for no other."""
    like: LikeConfig | None = None
    """For a new device: start its latency regressions from those of others, and time few subnets. null: time all."""
    latency: LatencyPlanConfig = LatencyPlanConfig()
    protocol: Protocol = Protocol()
    """Of an ethos-u device only `xnnpack` counts: by it this host's runtime answers for the int8 file's accuracy. Of a
    table device nothing does."""

    @model_validator(mode="before")
    @classmethod
    def _of_its_kind(cls, given: Any) -> Any:
        kind = given.get("kind") if isinstance(given, dict) else None
        try:
            return {**kind_of(kind).defaults, **given} if isinstance(kind, str) else given
        except FoxnasError:  # the key says so itself
            return given

    @model_validator(mode="before")
    @classmethod
    def _reached_by_its_first_host(cls, given: Any) -> Any:
        hosts, ssh = (given.get("hosts"), given.get("ssh") or {}) if isinstance(given, dict) else (None, None)
        if isinstance(hosts, list) and hosts and isinstance(ssh, dict):
            return {**given, "ssh": {"host": hosts[0], **ssh}}
        return given

    @property
    def measured(self) -> MeasuredConfig:
        """What its measurements depend on."""
        return MeasuredConfig(
            name=self.name,
            kind=self.kind,
            host=self.ssh.host if self.ssh else None,
            python=self.ssh.python if self.ssh else None,
            torch=self.torch,
            protocol=self.protocol,
        )

    @property
    def access(self) -> AccessConfig:
        """What no measurement depends on."""
        return AccessConfig(
            ssh=self.ssh, patience=self.patience, hosts=self.hosts, max_board_difference=self.max_board_difference
        )
