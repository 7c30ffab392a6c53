"""Make a device ready: a private environment with the pinned interpreter, the runner, a first model run by both."""

from dataclasses import asdict
from pathlib import Path

from foxnas import cli
from foxnas.device.building import connect
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.provisioning.installation import provision
from foxnas.device.retrying import persist
from foxnas.files.tables import write_json


def main(*, device: MeasuredConfig, access: AccessConfig, ready: Path) -> None:
    """Write what the device is, what was installed there, and what is left to its owner."""
    target, protocol = connect(device, access)
    ssh = access.ssh
    folder = ssh.folder if ssh and ssh.python is None else None
    wheels = Path(ssh.wheels) if ssh and ssh.wheels else None
    found = persist(target, lambda: provision(target, protocol, folder, wheels), lambda: 0)
    target.transport.close()
    write_json(ready, {"made_by": cli.made_by(__file__, {"kind": device.kind, "ssh": ssh}), **asdict(found)})


if __name__ == "__main__":
    cli.run(main)
