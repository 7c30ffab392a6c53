"""What the rules need to say of devices: how they are reached and made ready, what serves there, what they are like.

Files that a config names are marked `local`, as in `foxnas.flow.params`; nothing heavy may be reached from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snakemake.io import ancient, local

from foxnas.config.whole import Config
from foxnas.device.config import DeviceConfig, MeasuredConfig
from foxnas.device.kinds import kind_of
from foxnas.device.layout import ready_file
from foxnas.device.like import LikeConfig
from foxnas.ethosu.environment import program
from foxnas.flow.checkout import BASE, seen
from foxnas.flow.params import SCRIPTS, untracked

#: The versions of Vela's environment.
VELA_PINS = BASE / "envs" / "host-ethos-u.txt"


def like(config: Config, device: str) -> LikeConfig | None:
    """Return what a device is likened to, sorted: the order of the names is no reason to run again."""
    given = config.device(device).like
    return given and given.model_copy(update={"devices": sorted(given.devices)})


def donors(config: Config, device: str) -> list[str]:
    """Return the regressions that a device's start from, with wildcards.

    They are those it is likened to, in the order of its `like`, or the sums of its own blocks; else none.
    """
    if config.plan(device) == "blocks":
        return [f"results/{{space}}/{{size}}/predictors/blocks-{device}.json"]
    names = given.devices if (given := like(config, device)) else ()
    return [f"results/{{space}}/{{size}}/predictors/latency-{name}.json" for name in names]


def likened(config: Config, device: str) -> dict[str, Any]:
    """Return what a device's regressions start from as a leaf of a rule's settings, which those of others lack."""
    if given := like(config, device):
        return {"like": given}
    return {"blocks": True} if config.plan(device) == "blocks" else {}


def access(config: Config) -> Callable[[Any, Any], str]:
    """Return the param that says how the wildcard ``device`` is reached, waited for and, at need, provisioned again."""
    provisioning = [seen(SCRIPTS / "provision_device.py"), "--pins", *map(str, pinned_environments())]
    return untracked(
        access=lambda wildcards: config.device(wildcards.device).access, provisioning=lambda wildcards: provisioning
    )


def of_kind(device: DeviceConfig) -> MeasuredConfig:
    """Return what provisioning needs to know of a device: its configuration, and the code of its kind."""
    return device.measured.model_copy(update={"code": kind_of(device.kind).code()})


def provisioned(config: Config) -> Callable[[Any, Any], str]:
    """Return the param of all that provisioning reads of a device; what of it makes it run again, its rule says."""
    return untracked(
        device=lambda wildcards: of_kind(config.device(wildcards.device)),
        access=lambda wildcards: config.device(wildcards.device).access,
    )


def compiler(config: Config) -> Callable[[Any, Any], str]:
    """Return the param that says where the Edge TPU compiler is."""
    programs = {device.name: device.compiler.executable for device in config.devices if device.compiler}
    return untracked(executable=lambda wildcards: programs[wildcards.device])


def vela(config: Config, environment: str) -> Callable[[Any, Any], str]:
    """Return the param that says where Vela is: the user's own, or the one in the environment made for it."""
    own = {device.name: device.npu.executable for device in config.devices if device.npu}
    return untracked(vela=lambda wildcards: own[wildcards.device] or str(program(Path(environment))))


def vela_pins() -> str:
    """Return the file that pins Vela, the compiler for an Ethos-U."""
    return local(seen(VELA_PINS))


def vela_ready(device: DeviceConfig) -> list[str]:
    """Return the file that says Vela is installed; none where the user has one. Ancient, as `ready`."""
    assert device.npu
    return [] if device.npu.executable else [ancient("results/ethos-u-compiler/ready.json")]


def ready(device: DeviceConfig) -> list[str]:
    """Return the file that says a device is ready; none for this machine, which has what the workflow runs with.

    Ancient, so that nothing is measured again because a device was provisioned again.
    """
    return [ancient(ready_file(device.name))] if device.ssh else []


def hosts(device: DeviceConfig) -> dict[str, list[str]]:
    """Return the boards of a rack as a leaf of a rule's settings, which those of other devices do not have."""
    return {"hosts": device.hosts} if device.hosts else {}


def pinned_environments() -> list[str]:
    """Return the files that pin what may be installed on devices."""
    pins = sorted(path for path in (BASE / "envs").glob("*.txt") if not path.name.startswith("host-"))
    return [local(seen(path)) for path in pins]


def memory_limits(config: Config, device: str) -> dict[str, int]:
    """Return the bytes that a model compiled for an Ethos-U may use, by the key of the config; none for others."""
    npu = config.device(device).npu
    limits = npu.model_dump(include={"max_sram_bytes", "max_off_chip_bytes"}) if npu else {}
    return {key: limit for key, limit in limits.items() if limit is not None}


def memory_caps(config: Config, device: str) -> dict[str, dict[str, int]]:
    """Return the same as a leaf of a rule's settings, which those of a device without such caps do not have."""
    limits = memory_limits(config, device)
    return {"memory": limits} if limits else {}


def deployed(device: DeviceConfig) -> str:
    """Return the path of the file that serves on a device, with wildcards: compiled where it has to be."""
    return f"results/{{space}}/deploy/{{device}}/{{budget}}/{kind_of(device.kind).model_file}"


def answers_itself(config: Config, device: DeviceConfig) -> bool:
    """Return whether a device itself says what the deployed file sees."""
    return kind_of(device.kind).answers_itself(device.ssh is not None, config.validation.accuracy_on == "device")


def deployed_files(device: str, having: Sequence[str], name: str) -> list[str]:
    """Return the path of a file beside the deployed model, with wildcards; none for a device that has no such file."""
    return [f"results/{{space}}/deploy/{{device}}/{{budget}}/{name}"] if device in having else []


def has_uniform_sample(config: Config, device: str) -> bool:
    """Return whether the subnets timed on a device are a uniform sample, of which percentiles can be taken."""
    timed = config.plan(device) == "subnets" and not config.device(device).like
    return config.sampling.design == "uniform" and config.verifies and timed
