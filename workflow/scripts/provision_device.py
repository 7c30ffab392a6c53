"""Make a device ready: a private environment with the pinned interpreter, the runner, a first model run by both."""

from dataclasses import asdict
from pathlib import Path

from foxnas import command
from foxnas.config.devices import DeviceConfig
from foxnas.devices.provisioning import provision
from foxnas.devices.registry import connect
from foxnas.tables import write_json


def main(*, device: DeviceConfig, ready: Path) -> None:
    """Write what the device is, what was installed there, and what is left to its owner."""
    target, protocol = connect(device)
    own = device.ssh is None or device.ssh.python is not None
    found = provision(
        target,
        protocol,
        None if own else device.ssh.folder,
        Path(device.ssh.wheels) if device.ssh and device.ssh.wheels else None,
    )
    target.transport.close()
    write_json(ready, {"made_by": command.made_by(__file__, {"device": device}), **asdict(found)})


if __name__ == "__main__":
    command.run(main)
