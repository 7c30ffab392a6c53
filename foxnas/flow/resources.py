"""Where jobs run, what must not run beside them, and how much they ask for, on a laptop and on a cluster.

Two rules hold. First, a device is measured by one job at a time: each machine is a resource with capacity 1. A rack has
the number of its boards, of which a job takes one for itself (`foxnas.device.rack`). Second,
where the machine that runs the workflow is itself the device, nothing else of the workflow may run meanwhile, on any
node: that machine has `SHARES` shares; every job holds one share, and a measurement holds all. The workflow registers
both as resources. One Snakemake scheduler counts them for all nodes, whatever executor runs the jobs, and no
`--resources` of a user or a profile overrules them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from foxnas.accuracy.memory import evaluation_mb
from foxnas.config.whole import Config
from foxnas.device.config import DeviceConfig
from foxnas.device.kinds import kind_of
from foxnas.errors import FoxnasError
from foxnas.flow import snakemake_private

#: More threads than any machine has: Snakemake caps it to all cores, and nothing runs beside the job.
WHOLE_MACHINE = 4096

#: The resource that this machine stands for where it is a device; no SSH host's has its name.
THIS_MACHINE = "this_machine"

#: Shares of this machine: as many jobs run at once at most, whatever the cluster, while it is a device. Far more would
#: let an integer program's tolerance squeeze one share in beside all of them.
SHARES = 4096

#: Resources by which a profile says on which node a job runs.
PLACING = ("slurm_partition", "slurm_extra", "slurm_cluster", "cluster", "clusters", "constraint", "reservation")


def machine(device: DeviceConfig) -> str:
    """Return the Snakemake resource that a device's machine, or its boards, stand for.

    Devices of one SSH host share it; two names for one host meet at the lock on the machine itself.
    """
    if device.ssh is None:
        return THIS_MACHINE
    hosts = "_".join(device.hosts or [device.ssh.host])
    host = f"{hosts}_{device.ssh.port or ''}".rstrip("_")
    return ("rack_" if device.hosts else "device_") + re.sub(r"\W", "_", host, flags=re.ASCII)


def machines(config: Config) -> dict[str, int]:
    """Return the capacity of every device's machine: `SHARES` for this machine, 1 for others, of a rack its boards."""
    # Of an Ethos-U its model alone is here, of a table nothing.
    kinds = ("timed", "compiled")
    timed = {machine(device): device for device in config.devices if kind_of(device.kind).latency in kinds}
    return {name: SHARES if name == THIS_MACHINE else len(timed[name].hosts or [""]) for name in sorted(timed)}


def measuring(config: Config) -> dict[str, Callable[[Any], int]]:
    """Return, by machine, how much of it a measurement of the wildcard ``device`` needs: all of its own; one board."""
    return {name: partial(_needed, config, name) for name in machines(config)}


def _needed(config: Config, name: str, wildcards: Any) -> int:
    if machine(config.device(wildcards.device)) == name:
        return SHARES if name == THIS_MACHINE else 1
    return int(name == THIS_MACHINE)


def measuring_threads(workflow: Any, config: Config) -> Callable[[Any], int]:
    """Return what gives the threads of a measurement: what it runs on, or all there are.

    Without a cluster, all of them keep out even the jobs of a workflow that uses this one as a module and whose rules
    hold no share of the machine. With one, they would be asked of a node.
    """

    def threads(wildcards: Any) -> int:
        device = config.device(wildcards.device)
        if device.ssh is not None:
            return 1
        # Asked of each job, since the executor is not known yet while rules are read.
        return WHOLE_MACHINE if snakemake_private.runs_here(workflow) else device.protocol.threads

    return threads


def share_out(workflow: Any, config: Config) -> None:
    """Register the devices' machines, have every rule hold its share, and keep measurements on this host.

    Call it after the last rule. A measurement is a local rule, which runs where Snakemake was started: there are the
    keys and the network of the devices. A profile that says in `set-resources` on which node the measuring rules run,
    has them submitted there.

    Raises
    ------
    FoxnasError
        Some measuring rules have a node and some have none: one device would be measured from two hosts.
    """
    sizes = machines(config)
    resources = snakemake_private.resources_of_rules(workflow)
    measuring_rules = [name for name, asked in resources.items() if sizes and set(sizes) <= set(asked)]
    snakemake_private.limit_resources(workflow, sizes)
    if THIS_MACHINE in sizes:
        for name in set(resources) - set(measuring_rules):
            resources[name][THIS_MACHINE] = 1
    if not placed(measuring_rules, snakemake_private.overwritten_resources(workflow)):
        snakemake_private.keep_here(workflow, measuring_rules)


def placed(measuring_rules: Iterable[str], overwritten: Mapping[str, Any]) -> bool:
    """Return whether a profile says on which node measurements run. Raises FoxnasError like `share_out`."""
    having = {rule: bool(set(PLACING) & set(overwritten.get(rule, ()))) for rule in measuring_rules}
    if any(having.values()) and not all(having.values()):
        named = ", ".join(rule for rule, is_placed in having.items() if is_placed)
        missing = ", ".join(rule for rule, is_placed in having.items() if not is_placed)
        raise FoxnasError(
            f"set-resources says where {named} runs, but not {missing}, which measures the same devices: name a node "
            f"for all of them or for none (resources that do: {', '.join(PLACING)})"
        )
    return any(having.values())


def growing(**amounts: int) -> dict[str, Callable[[Any, int], int]]:
    """Return resources that a job asks for twice as much of at its second attempt, three times at its third."""
    return {name: partial(_grown, amount) for name, amount in amounts.items()}


def _grown(amount: int, wildcards: Any, attempt: int) -> int:
    return amount * attempt


def evaluating(config: Config, more_mb: int = 0) -> Callable[[Any, int], int]:
    """Return the memory of a job that evaluates subnets: of its wildcard ``size``, or of any size if it has none.

    Parameters
    ----------
    more_mb
        What the job loads besides torch and the subnet.
    """
    accuracy = config.accuracy
    bound = evaluation_mb(config.space, config.space.image_sizes, accuracy.batch_size, accuracy.recalibration_images)

    def memory_mb(wildcards: Any, attempt: int) -> int:
        size = getattr(wildcards, "size", None)
        return attempt * (more_mb + (bound[int(size)] if size else max(bound.values())))

    return memory_mb


def evaluating_rival(config: Config, more_mb: int) -> Callable[[Any, int], int]:
    """Return the same of a job that evaluates the off-the-shelf network ``rival`` at its image size ``size``."""
    batch_size, images = config.accuracy.batch_size, config.accuracy.recalibration_images

    def memory_mb(wildcards: Any, attempt: int) -> int:
        size = int(wildcards.size)
        space = config.rivals.network(wildcards.rival).at(size, config.space.classes)
        return attempt * (more_mb + evaluation_mb(space, [size], batch_size, images)[size])

    return memory_mb
