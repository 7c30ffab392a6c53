"""The rules of a device that times blocks as scripts, in the order of the workflow, on a device that a test scripts."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foxnas.device import building
from foxnas.device.blocks import COPIES
from foxnas.device.config import DeviceConfig
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, read_table, write_table
from foxnas.predictor.block_table import ACCEPTED_PERCENT
from foxnas.predictor.mix import BY_BLOCKS
from foxnas.predictor.model import Predictor
from foxnas.space.blocks import Blocks
from foxnas.space.config import read_space
from foxnas.space.parts import Part, parts_of
from foxnas.space.sampling_config import SampleConfig
from foxnas.verdict.baselines import with_predicted
from tests.support.fake_device import FakeDeviceStream, FakeTransport
from tests.support.scripts import script
from tests.support.tiny_run import QUICK

SIZE, SUBNETS, CALIBRATING = 20, 30, 20
SPACE = replace(read_space("mini"), image_sizes=(20, 24, 28), kernel_sizes=(3, 7), expansion_ratios=(2, 3, 6))
ARCHS = list(islice(SPACE.sample(SIZE, np.random.default_rng(0)), 2 * SUBNETS))
DEVICE = DeviceConfig.model_validate(
    {"name": "board", "kind": "tflite", "latency": {"plan": "blocks"}, "protocol": {**QUICK, "xnnpack": False}}
)


def takes_ms(part: Part) -> float:
    """What the multiplications of a part take, and 1 us an operator."""
    macs = sum(np.prod(step.weight) * np.prod(step.shape[1:3]) for step in part.steps if step.weight)
    return float(1e-6 * macs + 0.001 * len(part.steps))


class FakeBoard:
    """A board on which a subnet takes a tenth more than its blocks, up to `noise`; a chain 20 us more than they."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, noise: float) -> None:
        rng = np.random.default_rng(2)
        self.takes = {block.id: COPIES * takes_ms(block.part) + 0.02 for block in Blocks(SPACE).distinct}
        for arch in ARCHS:
            self.takes[arch.id] = sum(map(takes_ms, parts_of(SPACE, arch))) * 1.1 * rng.normal(1, noise)
        self.takes["reference"] = 3.0
        self.transport = FakeTransport(lambda label, now: self.takes[label])
        protocol = MeasurementProtocol(**asdict(DEVICE.protocol))
        monkeypatch.setattr(building, "build_device", self.built(protocol))

    def built(self, protocol: MeasurementProtocol) -> Any:
        return lambda config, access, provisioning, sampled=(), probes=dict: (
            Device("board", self.transport, sampled=sampled), protocol
        )  # fmt: skip


def run(folder: Path) -> dict[str, Any]:
    """Time the blocks and two shards, gather these and fit; return what is said of the fit."""
    way: dict[str, Any] = {"device": DEVICE.measured, "access": DEVICE.access, "provisioning": []}
    blocks = {"table": folder / "blocks.csv", "session": folder / "blocks.json"}
    script("time_blocks")(space=SPACE, **way, journal=folder / "blocks.jsonl", **blocks)
    for shard in (0, 1):
        rows = [(arch.id, arch.text) for arch in ARCHS[SUBNETS * shard : SUBNETS * (shard + 1)]]
        write_table(folder / f"subnets-{shard}.csv", pd.DataFrame(rows, columns=["id", "arch"]), {})
        files = {
            "subnets": folder / f"subnets-{shard}.csv", "table": folder / f"{shard}.csv",
            "session": folder / f"{shard}.json",
        }  # fmt: skip
        if shard:
            script("leave_untimed")(space=SPACE, first=folder / "0.json", **files)
        else:
            script("time_calibration")(
                space=SPACE, **way, sample=SampleConfig(seed=0, design="uniform"), calibration_subnets=CALIBRATING,
                blocks=blocks["session"], journal=folder / "0.jsonl", **files,
            )  # fmt: skip
    script("gather_shards")(shards=[folder / "0.csv", folder / "1.csv"], rows=2 * SUBNETS, table=folder / "latency.csv")
    script("fit_blocks")(
        space=SPACE, folds=10, seed=0, image_size=SIZE, table=folder / "latency.csv", blocks=blocks["table"],
        sum_of_blocks=folder / "sum.json", predictor=folder / "predictor.json", fits=folder / "fits.json",
    )  # fmt: skip
    return read_json(folder / "fits.json")


def test_blocks_and_few_subnets_predict_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = FakeBoard(monkeypatch, 0.002)
    fits = run(tmp_path)
    distinct = [block.id for block in Blocks(SPACE).distinct]
    table = read_table(tmp_path / "blocks.csv")
    assert table["id"].tolist() == distinct
    np.testing.assert_allclose(table["block_ms"] * COPIES, [board.takes[name] for name in distinct])
    latency = read_table(tmp_path / "latency.csv")
    assert latency["usable"].sum() == CALIBRATING
    assert set(latency["reason"][~latency["usable"]]) == {BY_BLOCKS}
    # Each block and each of the few subnets, once but for some blocks that stand out, and nothing else.
    timed = Counter(label for label in board.transport.log if label != "reference")
    assert timed.keys() == {*distinct, *(arch.id for arch in ARCHS[:CALIBRATING])}
    again = [name for name, times in timed.items() if times > 1]
    assert set(again) <= set(distinct)
    assert len(again) < len(distinct) / 4
    assert max(timed.values()) == 2
    found = fits["blocks"]
    assert (found["timed"], found["sampled"]) == (CALIBRATING, 2 * SUBNETS)
    assert found["blocks"] == found["usable_blocks"] == len(Blocks(SPACE).at[SIZE])
    assert found["weight"] == pytest.approx(1.1, rel=0.1)
    assert found["error_percent"] < 2
    assert found["within_percent"] == {"5": 100.0, "10": 100.0}
    assert [*fits["fits"]] == [fits["chosen"]] == ["latency/layers"]
    fitted = Predictor.load(tmp_path / "predictor.json")
    rest = ARCHS[CALIBRATING:]
    np.testing.assert_allclose(fitted.predict(rest).mean, [board.takes[arch.id] for arch in rest], rtol=0.02)
    whole = with_predicted(latency.assign(image_size=SIZE), SPACE, {SIZE: fitted}).set_index("id")
    np.testing.assert_allclose(whole.loc[[arch.id for arch in rest], "latency_ms"], fitted.predict(rest).mean)


def test_a_neighbour_that_takes_part_of_a_chains_runs_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = FakeBoard(monkeypatch, 0.0)
    rng, answer = np.random.default_rng(3), FakeDeviceStream.answer

    def disturbed(stream: FakeDeviceStream, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        told = answer(stream, header, body)
        factor = rng.uniform(1, 1.5)
        chain = header.get("id") in {block.id for block in Blocks(SPACE).distinct}
        return told | ({name: told[name] * factor for name in ("latency_ms", "p90_ms")} if chain else {})

    monkeypatch.setattr(FakeDeviceStream, "answer", disturbed)
    assert run(tmp_path)["blocks"]["within_percent"] == {"5": 100.0, "10": 100.0}
    table = read_table(tmp_path / "blocks.csv")
    np.testing.assert_allclose(table["block_ms"] * COPIES, [board.takes[name] for name in table["id"]])


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_block_whose_timing_was_disturbed_throughout_is_timed_again(
    interrupted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = FakeBoard(monkeypatch, 0.0)
    distinct = [block.id for block in Blocks(SPACE).distinct]
    # No two of a row or a column.
    disturbed, answer = [name for name in distinct if "-k3e3-7x7" in name], FakeDeviceStream.answer
    assert len(disturbed) > 2
    timed: list[str] = []

    def slow_at_first(stream: FakeDeviceStream, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        told, name = answer(stream, header, body), header.get("id")
        if interrupted and timed.count(name or "") == 1 and disturbed[1] == name:
            timed.append(name)
            raise KeyboardInterrupt
        factor = 1.5 if name in disturbed and name not in timed else 1
        timed.extend([name] if name and "latency_ms" in told else [])
        return told | {key: factor * told[key] for key in ("latency_ms", "p10_ms", "p90_ms") if key in told}

    monkeypatch.setattr(FakeDeviceStream, "answer", slow_at_first)
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    run(tmp_path)
    table = read_table(tmp_path / "blocks.csv").set_index("id")
    assert table.index.tolist() == distinct
    assert table["usable"].all()
    assert (table.loc[disturbed, "attempts"] == 2).all()
    assert (table["attempts"] == 1).mean() > 0.7
    for name in ("block_ms", "latency_ms"):
        copies = COPIES if name == "block_ms" else 1
        np.testing.assert_allclose(table[name] * copies, [board.takes[one] for one in distinct])
    # The session says the protocol that all blocks were timed by.
    assert read_json(tmp_path / "blocks.json")["protocol"]["repeats"] == 1


def test_where_subnets_are_no_sum_of_blocks_the_way_back_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    FakeBoard(monkeypatch, 0.2)
    with caplog.at_level(logging.WARNING):
        fits = run(tmp_path)
    assert fits["blocks"]["error_percent"] > ACCEPTED_PERCENT
    assert "give it `latency: {plan: subnets}`" in caplog.text


def test_subnets_are_not_timed_on_another_board_than_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = FakeBoard(monkeypatch, 0.002)
    way: dict[str, Any] = {"device": DEVICE.measured, "access": DEVICE.access, "provisioning": []}
    script("time_blocks")(
        space=SPACE, **way, journal=tmp_path / "b.jsonl", table=tmp_path / "b.csv", session=tmp_path / "b.json"
    )
    board.transport.cpu = "another"
    rows = pd.DataFrame([(arch.id, arch.text) for arch in ARCHS[:SUBNETS]], columns=["id", "arch"])
    write_table(tmp_path / "subnets.csv", rows, {})
    with pytest.raises(FoxnasError, match="another"):
        script("time_calibration")(
            space=SPACE, **way, sample=SampleConfig(seed=0, design="uniform"), calibration_subnets=CALIBRATING,
            blocks=tmp_path / "b.json", journal=tmp_path / "0.jsonl", subnets=tmp_path / "subnets.csv",
            table=tmp_path / "0.csv", session=tmp_path / "0.json",
        )  # fmt: skip
