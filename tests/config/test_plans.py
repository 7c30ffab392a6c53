"""What is timed on a device: asked for, decided by rule, refused."""

from __future__ import annotations

from typing import Any

import pytest

from foxnas.config.whole import Config, load_config
from foxnas.errors import FoxnasError
from tests.support.configs import written_out
from tests.support.invalidation import changed

#: With one device on the runtime's own kernels, the form `layers`, and no target but latency.
DEMO = written_out("config") | {"predictors": written_out("config")["predictors"] | {"further_targets": []}}


def planned(lines: dict[str, Any]) -> Config:
    return load_config(changed(DEMO, lines), "mine.yaml")


def test_blocks_are_timed_where_the_config_says_so() -> None:
    assert planned({"devices.0.latency.plan": "blocks"}).plan("local") == "blocks"
    assert load_config(DEMO, "mine.yaml").plan("local") == "subnets"


@pytest.mark.parametrize(
    ("lines", "plan"),
    [
        ({}, "blocks"),
        ({"devices.0.protocol.xnnpack": True}, "blocks"),
        ({"predictors.latency_form": "paper"}, "subnets"),
        ({"predictors.further_targets": [{"name": "p90", "column": "p90_ms", "unit": "ms"}]}, "subnets"),
        ({"devices.0.kind": "torch", "devices.0.torch": {"batch": 1}}, "subnets"),
        ({"devices.0.hosts": ["pi-a", "pi-b"]}, "subnets"),
    ],
)
def test_auto_decides_by_its_rule(lines: dict[str, Any], plan: str) -> None:
    assert planned({"devices.0.latency.plan": "auto", **lines}).plan("local") == plan


def test_a_device_that_times_blocks_is_no_donor() -> None:
    first = DEMO["devices"][0]
    near = {**first, "name": "near", "like": {"devices": ["local"], "until_percent": 10.0}}
    for plan in ("blocks", "auto"):
        local = {**first, "latency": {"plan": plan, "calibration_subnets": 20}}
        with pytest.raises(FoxnasError, match=r"devices\.1\.like\.devices\.0: local times blocks"):
            load_config(DEMO | {"devices": [local, near]}, "mine.yaml")
