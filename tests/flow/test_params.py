"""What the rules are told of the configuration."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from foxnas.config.whole import Config, read_config
from foxnas.flow import params
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
    assert shlex.split(params.file_options(None, given, {"table": "out it.csv", "ready": "r"})) == [
        "--measured-latency", "my 1", "2", "--objective-file", "--table", "out it.csv", "--ready", "r",
    ]  # fmt: skip


def test_further_settings_stand_behind_the_first_and_the_log_is_one_word() -> None:
    more = params.command("{params.access:q} --threads {threads}")
    assert more.startswith("python {input.script} --settings {params.settings:q} {params.access:q} --threads")
    assert more.endswith(" {params.files} 2>&1 | tee {log:q}")
    assert params.command() == "python {input.script} --settings {params.settings:q} {params.files} 2>&1 | tee {log:q}"
