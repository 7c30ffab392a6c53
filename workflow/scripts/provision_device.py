"""Make a device ready: a private environment with the pinned interpreter, the runner, a first model run by both."""

from dataclasses import asdict
from pathlib import Path

from foxnas import cli
from foxnas.device.building import connect
from foxnas.device.config import AccessConfig, Kind, MeasuredConfig, SshConfig
from foxnas.device.provisioning.installation import provision
from foxnas.device.retrying import persist
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
) -> None:
    """Write what the device is, what was installed there, and what is left to its owner.

    `kind`, `kind_code` and `ssh`, which `device` and `access` hold too, are what makes the rule run again.
    """
    assert (kind, kind_code, ssh) == (device.kind, device.code, access.ssh)
    target, protocol = connect(device, access)
    folder = ssh.folder if ssh and ssh.python is None else None
    wheels = Path(ssh.wheels) if ssh and ssh.wheels else None
    found = persist(target, lambda: provision(target, protocol, folder, pins[0].parent, wheels), lambda: 0)
    target.transport.close()
    write_json(ready, {"made_by": made_by, **asdict(found)})


if __name__ == "__main__":
    cli.run(main)
