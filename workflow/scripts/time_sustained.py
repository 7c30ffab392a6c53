"""Run a deployed model on its device without a pause: the first inference, the slow ones, and what heat does."""

from pathlib import Path
from typing import Any

from foxnas import cli
from foxnas.device.building import build_device, connect
from foxnas.device.config import AccessConfig, MeasuredConfig
from foxnas.device.kind import EXPORTED
from foxnas.device.kinds import kind_of
from foxnas.device.local import LocalTransport
from foxnas.device.rack import RackDevice, open_session
from foxnas.device.retrying import persist
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.sustained import Sustained, run_sustained
from foxnas.files.identity import identities
from foxnas.files.tables import write_json


def main(
    *,
    made_by: cli.MadeBy,
    device: MeasuredConfig,
    access: AccessConfig,
    provisioning: list[str],
    seconds: float,
    sampled: list[Path],
    winner: Path,
    model: Path,
    result: Path,
) -> None:
    """Write the figures of the run and its windows. Of a rack, one board does it."""
    kind = kind_of(device.kind)
    content = kind.prepared(model) if model.name == EXPORTED else model.read_bytes()
    target, protocol = build_device(device, access, provisioning, identities(sampled))
    plain, _ = connect(device, access)

    def run() -> tuple[Sustained, dict[str, Any], str | None]:
        # A session first: it provisions again at need, and refuses another machine than the one that was measured.
        with open_session(target, protocol) as runner:
            identity, host = runner.identity, (runner.hello.get("board") or {}).get("host")
        chosen = plain
        if isinstance(plain, RackDevice):
            chosen = next(board.device for board in plain.rack.boards if board.host == host)
        transport = chosen.transport
        assert isinstance(transport, SshTransport | LocalTransport)
        try:
            return run_sustained(chosen, transport.python, protocol, content, seconds), identity, host
        finally:
            transport.close()

    told, identity, board = persist(target, run, lambda: 0)
    write_json(
        result,
        {
            "made_by": made_by | {"identity": identity},
            "device": target.name,
            "board": board,
            "summary": told.summary(),
            "windows": [one.model_dump() for one in told.windows],
        },
    )


if __name__ == "__main__":
    cli.run(main)
