"""What the rules are told of the configuration."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from foxnas.config.whole import Config, read_config
from foxnas.flow import params
from foxnas.flow.inputs import input_sets
from foxnas.search.goal import Caps

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("own", "limit", "tighter"), [(9, 7, 7), (7, 9, 7), (None, 7, 7), (9, None, 9)])
def test_the_tighter_cap_counts_when_a_device_has_its_own(own: int | None, limit: int | None, tighter: int) -> None:
    value = read_config(ROOT / "config" / "config.yaml").model_dump()
    value["search"]["caps"] |= {"max_parameters": 5, "max_macs": 3, "max_int8_bytes": own}
    value["devices"][0]["max_model_bytes"] = limit
    config = Config.model_validate(value)
    merged = params.caps(config, config.devices[0].name)
    assert merged == Caps(max_parameters=5, max_macs=3, max_int8_bytes=tighter)


def test_every_named_file_is_an_option_and_what_is_only_waited_for_is_none() -> None:
    given = {
        "script": "a.py",
        "code": "a.sha256",
        "ready": ["r"],
        "measured_latency": ["my 1", "2"],
        "objective_file": [],
    }
    *words, option, inputs = shlex.split(params.file_options(None, given, {"table": "out it.csv", "ready": "r"}))
    assert words == [
        "--measured-latency", "my 1", "2", "--objective-file", "--table", "out it.csv", "--ready", "r",
    ]  # fmt: skip
    assert (option, set(json.loads(inputs))) == ("--inputs", {"measured_latency", "objective_file"})


def test_a_set_of_inputs_is_told_by_its_names_below_the_results_in_any_order() -> None:
    def sets(*files: str) -> dict[str, str]:
        return input_sets({"script": "a.py", "tables": list(files), "one": files[0]})

    few = sets("results/mini/16/a.csv", "results/mini/24/a.csv", "/home/me/own.csv")
    assert few["tables"].startswith("2 files ")
    assert few["one"].startswith("1 files ")
    assert sets("results/mini/16/a.csv", "/else/where/own.csv", "results/mini/24/a.csv") == few
    assert sets("nas/results/mini/16/a.csv", ".snakemake/s3/b/results/mini/24/a.csv") == few
    for other in (("results/mini/16/a.csv",), ("results/mini/16/a.csv", "results/mini/20/a.csv")):
        assert sets(*other)["tables"] != few["tables"]


def test_further_settings_stand_behind_the_first_and_the_log_is_one_word() -> None:
    more = params.command("{params.access:q} --threads {threads}")
    assert more.startswith("python {input.script} --settings {params.settings:q} {params.access:q} --threads")
    assert more.endswith(" {params.files} 2>&1 | tee {log:q}")
    assert params.command() == "python {input.script} --settings {params.settings:q} {params.files} 2>&1 | tee {log:q}"
