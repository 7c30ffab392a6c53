"""Make a device ready: a private environment with the pinned interpreter, the runner, a first model run by both."""

from dataclasses import asdict
from pathlib import Path

from foxnas import command
from foxnas.config.devices import AccessConfig, MeasuredConfig
from foxnas.devices.persistence import persist
from foxnas.devices.provisioning import provision
from foxnas.devices.registry import connect
from foxnas.tables import write_json


def main(*, device: MeasuredConfig, access: AccessConfig, ready: Path) -> None:
    """Write what the device is, what was installed there, and what is left to its owner."""
    target, protocol = connect(device, access)
    ssh = access.ssh
    folder = ssh.folder if ssh and ssh.python is None else None
    wheels = Path(ssh.wheels) if ssh and ssh.wheels else None
    found = persist(target, lambda: provision(target, protocol, folder, wheels), lambda: 0)
    target.transport.close()
    write_json(ready, {"made_by": command.made_by(__file__, {"kind": device.kind, "ssh": ssh}), **asdict(found)})


if __name__ == "__main__":
    command.run(main)
