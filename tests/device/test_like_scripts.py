"""The rules of a likened device as scripts, in the order of the workflow, on a device that a test scripts."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foxnas.device import building
from foxnas.device.chosen import FIRST
from foxnas.device.config import DeviceConfig
from foxnas.device.like import LikeConfig
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device
from foxnas.files.tables import read_json, read_table, write_table
from foxnas.predictor.fit import fit
from foxnas.predictor.mix import NOT_NEEDED
from foxnas.predictor.model import Predictor
from foxnas.space.config import read_space
from foxnas.space.costs import costs_of
from foxnas.space.sampling_config import SampleConfig
from foxnas.verdict.baselines import with_predicted
from tests.support.fake_device import FakeTransport
from tests.support.scripts import made_by, script
from tests.support.tiny_run import QUICK

SIZE, SUBNETS = 16, 30
SPACE = read_space("mini")
ARCHS = list(islice(SPACE.sample(SIZE, np.random.default_rng(0)), 90))
DEVICE = DeviceConfig.model_validate({"name": "near", "kind": "tflite", "protocol": {**QUICK, "xnnpack": False}})


@pytest.fixture(autouse=True)
def fake_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that takes what the multiplications and the parameters take, and 1% of noise."""
    cost = {arch.id: costs_of(SPACE, arch) for arch in ARCHS}
    noise = dict(zip(cost, np.random.default_rng(2).normal(1, 0.01, len(cost)), strict=True))

    def latency_ms(label: str, now: int) -> float:
        if label == "reference":
            return 3.0
        return float(noise[label] * (1 + 2e-6 * cost[label].macs + 1e-5 * cost[label].parameters))

    device = Device("near", FakeTransport(latency_ms))
    protocol = MeasurementProtocol(**asdict(DEVICE.protocol))
    monkeypatch.setattr(building, "build_device", lambda *config: (device, protocol))


@pytest.fixture(scope="module")
def donors(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Regressions of two made-up devices: one goes by the multiplications, one by the parameters."""
    folder, rng, found = tmp_path_factory.mktemp("donors"), np.random.default_rng(1), []
    for name, cost, unit in (("busy", "macs", 1e-6), ("large", "parameters", 1e-5)):
        y = [unit * getattr(costs_of(SPACE, arch), cost) + rng.normal(0, 0.01) for arch in ARCHS]
        found.append(folder / f"latency-{name}.json")
        fit("latency", SPACE, SIZE, ARCHS, y, target="latency", unit="ms").save(found[-1], made_by("fit_latency"))
    return found


def run(folder: Path, donors: list[Path], until_percent: float) -> dict[str, Any]:
    """Time two shards, gather them and fit; return the names of the files."""
    like = LikeConfig(devices=["busy", "large"], until_percent=until_percent)
    common: dict[str, Any] = {
        "space": SPACE,
        "sample": SampleConfig(seed=0, design="uniform"),
        "device": DEVICE.measured,
    }
    way: dict[str, Any] = {"access": DEVICE.access, "provisioning": []}
    for shard in (0, 1):
        rows = [(arch.id, arch.text) for arch in ARCHS[SUBNETS * shard : SUBNETS * (shard + 1)]]
        write_table(folder / f"subnets-{shard}.csv", pd.DataFrame(rows, columns=["id", "arch"]), {})
        files = {
            "subnets": folder / f"subnets-{shard}.csv", "journal": folder / f"{shard}.jsonl",
            "table": folder / f"{shard}.csv", "session": folder / f"{shard}.json",
        }  # fmt: skip
        if shard:
            script("time_rest")(**common, **way, first=folder / "0.json", **files)
        else:
            script("time_chosen")(
                **common, **way, like=like, form="paper", donors={"busy": {}, "large": {}}, regressions=donors, **files
            )
    shards = [folder / "0.csv", folder / "1.csv"]
    script("gather_shards")(shards=shards, rows=2 * SUBNETS, table=folder / "latency.csv")
    script("fit_like")(
        space=SPACE, form="paper", folds=5, seed=0, like=like, image_size=SIZE, table=folder / "latency.csv",
        session=folder / "0.json", regressions=donors, predictor=folder / "predictor.json", fits=folder / "fits.json",
    )  # fmt: skip
    return read_json(folder / "fits.json")


def test_few_probes_are_enough_where_little_is_asked(donors: list[Path], tmp_path: Path) -> None:
    fits = run(tmp_path, donors, 10.0)
    table = read_table(tmp_path / "latency.csv")
    timed = table[table["usable"]]
    assert len(table) == 2 * SUBNETS
    assert len(timed) == fits["like"]["timed"] == fits["like"]["judgements"][-1]["probes"] == FIRST
    assert set(table["reason"][~table["usable"]]) == {NOT_NEEDED}
    assert not (tmp_path / "1.jsonl").exists()
    assert list(fits["fits"]) == [fits["chosen"]] == ["latency/paper"]
    assert set(fits["like"]["weights"]) == {"busy", "large"}
    assert fits["like"]["donors"]["busy"]["rows"] == 90
    fitted = Predictor.load(tmp_path / "predictor.json")
    assert fitted.rows
    assert set(fitted.rows.id) == set(timed["id"])
    # A baseline would have timed the others, too.
    whole = with_predicted(table.assign(image_size=SIZE), SPACE, {SIZE: fitted}).set_index("id")
    assert whole.loc[timed["id"], "latency_ms"].tolist() == timed["latency_ms"].tolist()
    rest = [arch for arch in ARCHS[: 2 * SUBNETS] if arch.id not in set(timed["id"])]
    np.testing.assert_allclose(whole.loc[[arch.id for arch in rest], "latency_ms"], fitted.predict(rest).mean)


def test_all_subnets_are_timed_and_fitted_as_on_any_device_where_too_much_is_asked(
    donors: list[Path], tmp_path: Path
) -> None:
    fits = run(tmp_path, donors, 1e-6)
    table = read_table(tmp_path / "latency.csv")
    assert table["usable"].all()
    assert not fits["like"]["enough"]
    assert fits["like"]["timed"] == fits["like"]["sampled"] == 2 * SUBNETS
    assert len(fits["fits"]) > 1
    plain = fit(
        "latency", SPACE, SIZE, ARCHS[: 2 * SUBNETS], table["latency_ms"], target="latency", unit="ms", folds=5
    )  # fmt: skip
    np.testing.assert_allclose(Predictor.load(tmp_path / "predictor.json").coefficients, plain.coefficients)
    # What was timed for the choice counts: each probe once.
    probes = sum(one["timings"] for one in read_json(tmp_path / "0.json")["sessions"])
    assert probes == SUBNETS
