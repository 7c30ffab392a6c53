"""An Ethos-U beside a timed device, from sample to page: rules, scripts, tables, verdict, with Arm's real compiler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from foxnas.device.npu import NpuSettings
from foxnas.ethosu.probe import TrainedLikeWriter
from foxnas.ethosu.vela import Vela
from foxnas.files.seal import read_model
from foxnas.files.tables import read_json, read_table
from foxnas.int8.reading import read_summary
from foxnas.space.config import complete
from foxnas.space.space import SearchSpace
from tests.support.configs import written_out
from tests.support.forked_vela import forked
from tests.support.journals import reinstate
from tests.support.tiny_run import snakemake
from tests.support.vela import vela

ASKED = {
    "accelerator_config": "ethos-u55-128",
    "system_config": "Ethos_U55_High_End_Embedded",
    "memory_mode": "Shared_Sram",
}
U55 = NpuSettings(**ASKED)  # type: ignore[arg-type]


def with_npu(**npu: Any) -> dict[str, Any]:
    """config/tiny.yaml with a second device that nobody has."""
    raw: dict[str, Any] = written_out("tiny")
    (device,) = raw["devices"]
    asked = ASKED | npu
    raw["devices"] = [device, {"name": "npu", "kind": "ethos-u", "npu": asked}]
    raw["predictors"]["further_targets"] = [{"name": "sram", "column": "sram_bytes", "unit": "bytes", "table": None}]
    raw["predictors"]["further_targets"][0]["form"] = "layers-shrunk"
    raw["validation"]["unkept"] = "report"
    raw["budgets"] = ["p50"]
    raw["search"]["reserves_percent"] = [3, 20]  # an estimate has no noise
    return raw


def only_npu(**npu: Any) -> dict[str, Any]:
    """The same without the timed device, and of one image size: of each, a hundred probes are compiled."""
    raw = with_npu(**npu)
    return {**raw, "devices": raw["devices"][1:], "space": raw["space"] | {"image_sizes": [24]}}


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The compiler of the tests, by forks; what is compiled by hand below is by itself."""
    with forked(vela(), tmp_path_factory.mktemp("vela")) as program:
        yield program


@pytest.fixture(scope="module")
def estimated(run: Path, compiler: str) -> Path:
    """The tiny run, grown by an Ethos-U that uses the compiler of the tests."""
    (run / "npu.yaml").write_text(yaml.safe_dump(only_npu(executable=compiler)))
    (run / "terminal-npu.txt").write_text(snakemake(run, config=run / "npu.yaml"))
    return run


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.from_record(complete(written_out("tiny")["space"]))


def test_nothing_but_the_new_device_is_made(estimated: Path) -> None:
    text = (estimated / "terminal-npu.txt").read_text()
    ran = set(re.findall(r"^([a-z_]+) +\d+ *$", text, re.MULTILINE))
    assert ran >= {"estimate_subnets", "estimate_candidates", "confirm_estimate", "deploy_vela", "write_report"}
    assert not ran & {"evaluate_subnets", "time_subnets", "install_vela", "provision_device", "time_candidates"}


def test_tables_have_the_estimate_of_every_probe_as_a_compilation_by_hand_has_it(
    estimated: Path, space: SearchSpace
) -> None:
    table = read_table(estimated / "results" / "mini" / "24" / "latency-npu.csv")
    assert table["usable"].all()
    assert (table["latency_ms"] == table["npu_ms"]).all()
    assert (table[["mad_ms", "p90_ms", "energy_mj"]].isna()).all(axis=None)
    assert set(table["executor"]) == {"ethos-u55-128"}
    writer = TrainedLikeWriter(space)
    for row in table.head(3).itertuples():
        found = Vela(vela(), U55).compile(writer.write(space.parse(str(row.arch)))).estimate
        assert found
        assert row.latency_ms == pytest.approx(found.npu_ms, rel=1e-9)
        assert (row.sram_bytes, row.off_chip_bytes) == (found.sram_bytes, found.off_chip_bytes)


def test_the_regressions_hold_on_subnets_that_they_have_not_seen(estimated: Path) -> None:
    fits = read_json(estimated / "results" / "mini" / "24" / "predictors" / "latency-npu-fits.json")
    assert fits["flagged"] == 0
    assert fits["fits"][fits["chosen"]]["quality"]["r2_cv"] > 0.9


def test_the_compiled_winner_lies_beside_the_model_and_its_verdict_is_an_estimate(estimated: Path) -> None:
    deployed = estimated / "results" / "mini" / "deploy" / "npu" / "p50"
    verdict, said = (read_json(deployed / name) for name in ("validation.json", "compiled.json"))
    content = (deployed / "model_vela.tflite").read_bytes()
    again = Vela(vela(), U55).compile(read_model(deployed / "model.tflite"))
    assert content == again.content
    assert [operator.name for operator in read_summary(content).operators] == ["CUSTOM"]
    assert again.estimate
    assert verdict["latency_is"] == said["latency_is"] == "estimate"
    assert verdict["latency_median_ms"] == verdict["latency_upper_ms"] == pytest.approx(again.estimate.npu_ms)
    assert verdict["session_medians_ms"] == [verdict["latency_median_ms"]]
    assert (verdict["reference_medians_ms"], verdict["reference_baseline_ms"]) == ([], None)
    assert verdict["latency_verdict"] == "kept"
    assert verdict["latency_upper_ms"] <= verdict["budget_ms"]
    assert verdict["compiled"]["sram_bytes"] == again.estimate.sram_bytes


def test_it_is_called_an_estimate_wherever_it_is_shown(estimated: Path) -> None:
    page = (estimated / "results" / "report.html").read_text()
    assert "Latencies on npu are estimates of Arm&#39;s compiler Vela" in page
    assert "estimated latency on npu, ms" in page
    assert not re.findall(r"(?<!estimated )(?<!mated )latency, ms|95% bound|new sessions|How calm", page)
    text = (estimated / "terminal-npu.txt").read_text()
    assert re.search(r"p50 on npu +\S+ ms +\S+ ms, estimated .* model_vela\.tflite|p50 on npu .*ms, estimated", text)
    assert " probes estimated for npu 100 0 " in " ".join(text.split())
    header = (estimated / "results" / "mini" / "search" / "npu" / "p50" / "candidates.csv").read_text().splitlines()[1]
    assert "estimated_latency_ms" in header
    assert "measured_latency_ms" not in header


def test_the_same_command_again_has_nothing_to_do(estimated: Path) -> None:
    assert "Nothing to be done" in snakemake(estimated, config=estimated / "npu.yaml")


def test_a_lost_table_is_made_from_the_journal_of_an_interrupted_job(estimated: Path) -> None:
    shards = estimated / "results" / "mini" / "24" / "shards" / "latency-npu"
    before = (shards / "0.csv").read_text()
    (shards / "0.csv").unlink()
    assert reinstate(estimated / "results" / "mini" / "24" / "journals" / "latency-npu") == 1
    text = snakemake(estimated, "results/mini/24/shards/latency-npu/0.csv", config=estimated / "npu.yaml")
    assert "models compiled for npu" not in text
    assert (shards / "0.csv").read_text() == before


def test_the_workflow_installs_the_pinned_compiler_by_itself(estimated: Path) -> None:
    """For whoever compiles first: here for candidates, of which there are few, with their sample as it stands."""
    (estimated / "own.yaml").write_text(yaml.safe_dump(only_npu(executable=None)))
    compiled = Path("results/mini/search/npu/p50/round-1/compiled.csv")
    before = read_table(estimated / compiled)
    (estimated / compiled).unlink()
    rules = {"install_vela", "estimate_candidates"}
    text = snakemake(estimated, str(compiled), "--allowed-rules", *sorted(rules), config=estimated / "own.yaml")
    assert rules <= set(re.findall(r"^([a-z_]+) +\d+ *$", text, re.MULTILINE))
    ready = read_json(estimated / "results" / "ethos-u-compiler" / "ready.json")
    assert ready["vela"] == Vela(vela(), U55).version
    pd.testing.assert_frame_equal(read_table(estimated / compiled), before)


def test_caps_on_memory_are_kept_by_what_was_compiled(estimated: Path, compiler: str) -> None:
    cap = int(read_table(estimated / "results" / "mini" / "24" / "latency-npu.csv")["off_chip_bytes"].median())
    raw = only_npu(executable=compiler, max_off_chip_bytes=cap)
    raw["refinement"]["rounds"] = 2  # a candidate that breaks the cap is in no later fit
    (estimated / "capped.yaml").write_text(yaml.safe_dump(raw))
    text = snakemake(estimated, config=estimated / "capped.yaml")
    assert "estimate_subnets" not in re.findall(r"^([a-z_]+) +\d+ *$", text, re.MULTILINE)
    search = estimated / "results" / "mini" / "search" / "npu" / "p50"
    compiled = pd.concat([read_table(path) for path in search.glob("round-*/compiled.csv")], ignore_index=True)
    # The search knew of it: most of what it proposed keeps the cap, and of the sample half did.
    assert (compiled["off_chip_bytes"] <= cap).mean() >= 0.7
    assert compiled["usable"].equals(compiled["off_chip_bytes"] <= cap)
    verdict = read_json(estimated / "results" / "mini" / "deploy" / "npu" / "p50" / "validation.json")
    assert verdict["compiled"]["off_chip_bytes"] <= cap
