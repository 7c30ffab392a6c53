"""Make a device ready: a private environment with the pinned interpreter, the runner, a first model run by both."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

from foxnas import cli
from foxnas.device.building import connect
from foxnas.device.config import AccessConfig, Kind, MeasuredConfig, SshConfig
from foxnas.device.provisioning.installation import Readiness, provision
from foxnas.device.provisioning.racks import provision_boards
from foxnas.device.rack import RackDevice
from foxnas.device.retrying import persist
from foxnas.device.transport import Device
from foxnas.files.tables import write_json


def main(
    *,
    made_by: cli.MadeBy,
    kind: Kind,
    kind_code: str | None,
    ssh: SshConfig | None,
    device: MeasuredConfig,
    access: AccessConfig,
    pins: list[Path],
    ready: Path,
    hosts: list[str] | None = None,
) -> None:
    """Write what the device is, what was installed there, and what is left to its owner; of a rack, of every board.

    `kind`, `kind_code`, `ssh` and `hosts`, which `device` and `access` hold too, are what makes the rule run again.
    """
    assert (kind, kind_code, ssh, hosts) == (device.kind, device.code, access.ssh, access.hosts)
    target, protocol = connect(device, access)
    folder = ssh.folder if ssh and ssh.python is None else None
    wheels = Path(ssh.wheels) if ssh and ssh.wheels else None

    def prepare(one: Device) -> Readiness:
        found = provision(one, protocol, folder, pins[0].parent, wheels)
        one.transport.close()
        return found

    if isinstance(target, RackDevice):
        boards = persist(target, partial(provision_boards, target.rack, prepare), lambda: 0)
        described = {"boards": {host: asdict(found) for host, found in boards.items()}}
    else:
        described = asdict(persist(target, partial(prepare, target), lambda: 0))
    write_json(ready, {"made_by": made_by, **described})


if __name__ == "__main__":
    cli.run(main)
