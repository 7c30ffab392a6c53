"""The devices, and how models are timed on them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from foxnas.section import Count, Name, Section, Seed

Kind = Literal["tflite", "edgetpu", "torch"]


class ProtocolConfig(Section):
    """How a model is timed; `foxnas.device.protocol.MeasurementProtocol` says more of each."""

    warm_up_runs: Count = 5
    """Untimed inferences first, at least so many..."""
    warm_up_ms: Annotated[float, Field(ge=0)] = 5.0
    """...and for at least so long."""
    min_runs: Count = 25
    """Timed inferences of one timing, at least so many..."""
    min_time_ms: Annotated[float, Field(ge=0)] = 20.0
    """...and for at least so long."""
    max_time_ms: Annotated[float, Field(gt=0)] = 30000.0
    """Then the timing is stopped in any case."""
    repeats: Count = 2
    """Timings a probe's latency is the mean of, each in a pass of its own over all probes."""
    threads: Count = 1
    """Threads of the interpreter."""
    cpu: Annotated[int, Field(ge=0)] | None = None
    """Pin to this core; null takes the last one."""
    xnnpack: bool = True
    """true: run on the XNNPACK delegate; false: on the runtime's own kernels (see README, section 7x7)."""
    reference_every: Count = 20
    """Time the reference probe after so many probes, to see drift."""
    max_relative_mad: Annotated[float, Field(gt=0)] = 0.1
    """Spread (MAD / median) past which a probe is timed again."""
    max_preempted: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Share of runs in which another process took the core, past which a probe is timed again."""
    max_drift: Annotated[float, Field(gt=0)] = 0.1
    """Deviation of the nearest reference timings from their usual, past which a probe is timed again."""
    max_disagreement: Annotated[float, Field(gt=0)] = 0.05
    """Range of a probe's timings, relative to their mean, past which it is timed again."""
    max_attempts: Count = 5
    """Then the probe is flagged and left out of the fit."""
    seed: Seed = 0
    """Of the random input."""


class SshConfig(Section):
    """The way to a device over SSH, as `ssh` itself would take it: ~/.ssh/config is honoured."""

    host: Annotated[str, Field(min_length=1)]
    """What you type after `ssh`: an address, or a Host of your ~/.ssh/config. Another host is measured anew; of what
    follows, only `python` is part of a measurement."""
    user: Annotated[str, Field(min_length=1)] | None = None
    """null: as ~/.ssh/config says, else your own name."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """null: as ~/.ssh/config says, else 22."""
    config_file: Annotated[str, Field(min_length=1)] | None = None
    """Read this file instead of ~/.ssh/config, as `ssh -F` does; null: the usual ones."""
    password: Literal["prompt"] | Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
    """null: agent and key files only. prompt: ask for it. Else the name of the environment variable that holds it
    (for an encrypted key: the key's passphrase). Never the password itself."""
    folder: Annotated[str, Field(min_length=1)] = ".foxnas"
    """Where the runner and its environment live on the device; a relative path starts at the home folder."""
    python: Annotated[str, Field(min_length=1)] | None = None
    """The Python that runs the runner, which provisioning then leaves as it is; null: the environment that provisioning
    makes in `folder`."""
    wheels: Annotated[str, Field(min_length=1)] | None = None
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

    executable: Annotated[str, Field(min_length=1)] = "edgetpu_compiler"
    """A name on PATH, or a path; x86-64 Linux only. docs/devices-coral.md has the commands that install it."""
    timeout_s: Count = 180
    """Longest time for one model; past it, the model is a row with its reason."""
    runtime: Annotated[int, Field(ge=10, le=14)] = 14
    """Oldest Edge TPU runtime that the models must run on. 14, of July 2021, is the newest there is."""

    @property
    def limits(self) -> CompilerLimits:
        """What a compilation depends on, besides the compiler's version, which its cache goes by."""
        return CompilerLimits(timeout_s=self.timeout_s, runtime=self.runtime)


class TorchConfig(Section):
    """How PyTorch runs the networks, in float32; every row of the tables names what is on."""

    batch: Count = 64
    """Images at once; the paper's GPU table has 64."""
    compile: bool = False
    """torch.compile; compiling takes seconds to minutes a network."""
    cuda_graphs: bool = False
    """Replay one CUDA graph instead of launching every kernel; needs a CUDA device."""
    tf32: bool = False
    """Let CUDA round factors to TF32."""
    channels_last: bool = False
    """Images and weights in NHWC order."""


class MeasuredConfig(Section):
    """A device as far as a measurement depends on it; a journal also goes by what the machine says it is."""

    name: Name
    kind: Kind
    host: str | None
    """Of `SshConfig`; null: this machine."""
    python: str | None
    """Of `SshConfig`."""
    torch: TorchConfig | None
    protocol: ProtocolConfig


class AccessConfig(Section):
    """How a device is reached and waited for: nothing that is measured depends on it."""

    ssh: SshConfig | None
    patience: PatienceConfig


#: What a kind of device has where its keys are left out.
_OF_KIND: dict[str, dict[str, Any]] = {"edgetpu": {"compiler": {}, "max_model_bytes": 6000000}, "torch": {"torch": {}}}


class DeviceConfig(Section):
    """A device that models are timed on."""

    name: Name
    """Names its files."""
    kind: Kind
    """What runs the models there. tflite: LiteRT or tflite-runtime, whichever it has."""
    ssh: SshConfig | None = None
    """The way to it. null: this machine itself; while it measures, nothing else of the workflow runs."""
    patience: PatienceConfig = PatienceConfig()
    compiler: CompilerConfig | None = None
    """For an edgetpu device, which has a section with its defaults when this is left out, and for no other."""
    max_model_bytes: Count | None = None
    """The search proposes no model whose int8 file is larger; null: no limit. An edgetpu device has one, 6000000
    when this is left out: the paper found latency to suffer past about 6 MB, when parameters no longer fit on the
    chip."""
    torch: TorchConfig | None = None
    """For a torch device, which has a section with its defaults when this is left out, and for no other."""
    protocol: ProtocolConfig = ProtocolConfig()

    @model_validator(mode="before")
    @classmethod
    def _of_its_kind(cls, given: Any) -> Any:
        kind = given.get("kind") if isinstance(given, dict) else None
        return {**_OF_KIND.get(kind, {}), **given} if isinstance(kind, str) else given

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
        return AccessConfig(ssh=self.ssh, patience=self.patience)
