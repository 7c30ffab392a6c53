"""The workflow measuring over SSH: one job at a time on a machine or board, beside the workflow's other jobs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import yaml

from foxnas.files.tables import read_json, read_table
from tests.support.configs import written_out
from tests.support.sshd import Sshd
from tests.support.tiny_run import QUICK, snakemake


def test_one_measurement_at_a_time_on_a_machine(tmp_path: Path) -> None:
    server = Sshd(tmp_path / "sshd", sys.executable).start()
    try:
        first = server.client(name="board").model_dump()
        second = server.client(name="elsewhere").model_dump()
        raw = written_out("tiny")
        (local,) = raw["devices"]
        protocol = {**local["protocol"], **QUICK}
        raw["devices"] = [
            {**local, "name": name, "ssh": ssh, "protocol": {**protocol, "seed": seed}}
            for name, ssh, seed in (("one", first, 0), ("two", first, 1), ("away", second, 2))
        ]
        boards = {**server.client(name="pi-a pi-b").model_dump(), "host": "pi-a"}
        rack = {"name": "rack", "ssh": boards, "hosts": ["pi-a", "pi-b"], "max_board_difference": 50.0}
        raw["devices"].append({**local, **rack, "protocol": protocol})
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump(raw))
        tables = [f"results/mini/16/shards/latency-{name}/0.csv" for name in ("one", "two", "away", "rack")]
        tables.append("results/mini/24/shards/latency-rack/0.csv")
        # Whoever overrules the resource on the command line does not get past it.
        text = snakemake(tmp_path, *tables, "--cores", "4", "--resources", "device_board=9", config=config)
    finally:
        server.kill()
    for name in tables:
        table = read_table(tmp_path / name)
        assert table["usable"].all()
        assert len(table) == 100
        session = read_json(tmp_path / name.replace(".csv", ".json"))
        assert session["identity"]["runtime"] == "ai_edge_litert"
    # Two jobs, of two image sizes, measured on a board each, which this machine's lock took in turn.
    used = [set(read_table(tmp_path / name)["board"]) for name in tables[-2:]]
    assert used in ([{"pi-a"}, {"pi-b"}], [{"pi-b"}, {"pi-a"}])
    assert set(read_json(tmp_path / "results/devices/rack/ready.json")["boards"]) == {"pi-a", "pi-b"}
    record = (tmp_path / "results/devices/rack/boards.jsonl").read_text().splitlines()
    assert {json.loads(line)["board"] for line in record} == {"pi-a", "pi-b"}
    events = re.findall(r"Job (\d+): Timing shard 0 .* on (\w+)|Finished jobid: (\d+)", text)
    measuring: dict[str, str] = {}
    together = set()
    for started, device, finished in events:
        if started:
            measuring[started] = device
        else:
            measuring.pop(finished, None)
        assert not {"one", "two"} <= set(measuring.values()), "two jobs measured on one machine"
        together.add(frozenset(measuring.values()))
    # Another machine's job ran beside them, at least as far as Snakemake knows: here it is the same machine by
    # another name, and the lock on it made the one job wait for the other.
    assert any("away" in devices and len(devices) == 2 for devices in together)
