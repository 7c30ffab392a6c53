"""A rack of two real OpenSSH servers: one is lost for good in the middle, and the other measures the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from foxnas.device.session import measure_probes
from tests.support.loopback_rack import REFERENCE, SLEEPING, loopback_boards, loopback_rack


def test_a_board_that_dies_hands_its_probes_to_the_other(tmp_path: Path) -> None:
    with loopback_boards(tmp_path, (1.0, 1.06)) as boards:

        def build(number: int) -> bytes:
            if number == 5:
                boards[0].server.kill()
            return str(20 + number).encode()

        folder = tmp_path / tmp_path.parent.name
        device = loopback_rack(folder, [board.ssh for board in boards], timeout_s=5, away_s=60)
        calm = replace(SLEEPING, max_drift=50.0, max_relative_mad=50.0, reference_every=4)
        roomy = replace(device, rack=replace(device.rack, max_difference=0.5))
        made = [(f"p{number:02d}", f"arch {number}", partial(build, number)) for number in range(12)]
        table, info = measure_probes(roomy, calm, made, REFERENCE, folder / "j", np.random.default_rng(0))
        sent = {board.host: [(row["id"], row["latency_ms"]) for row in board.server.rows_sent()] for board in boards}
    assert table["id"].tolist() == [identifier for identifier, _, _ in made]
    assert table["usable"].all()
    assert set(Counter(table["board"])) == {"pi4-a", "pi4-b"}
    factors = {session["board"]["host"]: session["board"]["factor"] for session in info["sessions"]}
    assert factors["pi4-a"] == 1.0
    for row in table.itertuples():
        assert (row.id, row.board_latency_ms) in sent[row.board]
        assert row.latency_ms == pytest.approx(row.board_latency_ms / factors[row.board], rel=1e-9)
        assert row.runs == SLEEPING.min_runs
    assert sum(session["probes"] for session in info["sessions"]) == 12
    lost = [identifier for identifier, _ in sent["pi4-a"] if identifier.startswith("p")]
    assert sorted(table.loc[table["board"] == "pi4-a", "id"]) == sorted(lost)
