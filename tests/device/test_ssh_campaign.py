"""A campaign of random faults over a real OpenSSH server: no probe lost, none counted twice, no number invented."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foxnas.device.transport import Device, DeviceLost
from foxnas.errors import FoxnasError
from tests.support.campaign import SHELLS, Campaign
from tests.support.faults import FaultyProxy
from tests.support.ssh_probes import check, measure, probes
from tests.support.sshd import Sshd

#: Kinds that another attempt cannot mend: they end the measurement in a sentence, and it is run again.
FINAL = ("runner that gives up", "runner of another version")


def test_a_campaign_of_random_faults(
    server: Sshd,
    proxy: FaultyProxy,
    board: Device,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults, seed = int(os.environ.get("FOXNAS_FAULTS", "5")), int(os.environ.get("FOXNAS_FAULT_SEED", "0"))
    campaign = Campaign(server, proxy, faults, seed)
    made, ended = probes(3 * faults, campaign.during), list[str]()
    try:
        while True:
            try:
                table = measure(board, made, tmp_path / "j")
                break
            except DeviceLost:
                raise
            except FoxnasError as error:
                ended.append(str(error))
                if len(ended) > faults:
                    raise
    finally:
        server.kill()
    check(table, 3 * faults, tmp_path / "j", server)
    injected = dict(sorted(campaign.injected.items()))
    with capsys.disabled():
        print(
            f"\n{campaign.injected.total()} random faults injected and survived (seed {seed}), shells "
            f"{' '.join(SHELLS)}: {injected}"
        )
    assert (campaign.injected.total(), campaign.orders_left) == (faults, 0)
    assert len(ended) == sum(campaign.injected[kind] for kind in FINAL)
    for said in [*ended, *(one.message for one in caplog.records if one.name.startswith("foxnas"))]:
        assert "board" in said
        assert said.isprintable()
        assert len(said) < 2000
