"""Say what a device is, and what limits a measurement there."""

from pathlib import Path

from foxnas import cli
from foxnas.device.config import DeviceConfig
from foxnas.doctor.consultation import consult
from foxnas.doctor.examination import Extent
from foxnas.doctor.finding import sentence, verdict
from foxnas.errors import FoxnasError
from foxnas.files.tables import write_json
from foxnas.space.space import SearchSpace
from foxnas.verdict.config import ValidationConfig


def main(
    *,
    made_by: cli.MadeBy,
    device: DeviceConfig,
    kind_code: str,
    space: SearchSpace,
    validation: ValidationConfig,
    margin_percent: float,
    doctor: Path,
    load_seconds: float = Extent.load_s,
    sessions: int = Extent.sessions,
) -> None:
    """Write what was found on a device; ends with the reasons when it is not ready.

    `kind_code`, the digest of the code of its kind, is what makes the rule run again.
    """
    found = consult(
        device, space, validation, margin_percent, configfile=None, load_s=load_seconds, sessions=sessions
    )  # fmt: skip
    print(found.text, flush=True)
    if verdict(found.findings) == "not ready":
        raise FoxnasError(f"device {device.name} is {sentence(found.findings)}")
    write_json(doctor, {"made_by": made_by, **found.told})


if __name__ == "__main__":
    cli.run(main)
