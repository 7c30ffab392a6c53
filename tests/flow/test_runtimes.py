"""Measurements depend on the runtime: of this machine what is installed, of a device what would be installed there."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from foxnas.config.whole import Config
from foxnas.flow import devices, runtimes
from foxnas.settings.section import canonical
from tests.support.invalidation import BASES, changed


@pytest.fixture(autouse=True)
def asked_anew() -> None:
    runtimes._installed.cache_clear()
    runtimes._pinned.cache_clear()


def config(**lines: Any) -> Config:
    raw = BASES["devices"].config()
    return Config.model_validate(changed(raw, {name.replace("__", "."): value for name, value in lines.items()}))


def test_an_upgraded_runtime_of_this_machine_is_another_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    before = runtimes.measured(config(), "local")
    assert before.runtime == [f"ai-edge-litert=={metadata.version('ai-edge-litert')}"]
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "9.9" if name == "ai-edge-litert" else version(name))
    runtimes._installed.cache_clear()
    after = runtimes.measured(config(), "local")
    assert after.model_copy(update={"runtime": before.runtime}) == before
    assert after.runtime == ["ai-edge-litert==9.9"]


def test_a_changed_pin_is_another_measurement_on_devices_that_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the interpreter, not of numpy, whose pin changes no timing; not where the owner's own Python measures."""
    kinds = {"pi": "tflite", "coral": "edgetpu", "gpu": "torch"}
    texts = {kind: (runtimes.BASE / "envs" / f"{kind}-device.txt").read_text() for kind in kinds.values()}
    monkeypatch.setattr(runtimes, "BASE", tmp_path)
    (tmp_path / "envs").mkdir()
    own = config(devices__1__ssh__python="python3")

    def asked(package: str) -> dict[str, list[str] | None]:
        runtimes._pinned.cache_clear()
        for kind, text in texts.items():
            (tmp_path / "envs" / f"{kind}-device.txt").write_text(text.replace(f"{package}==2", f"{package}==3"))
        found = {name: runtimes.measured(config(), name).runtime for name in kinds}
        return {**found, "own": runtimes.measured(own, "pi").runtime}

    as_it_is = asked("nothing")
    assert all(as_it_is[name] for name in kinds)
    assert as_it_is["own"] is None
    assert asked("numpy") == as_it_is
    assert {name for name, pins in asked("torch").items() if pins != as_it_is[name]} == {"gpu"}
    assert {name for name, pins in asked("tflite-runtime").items() if pins != as_it_is[name]} == {"pi", "coral"}


def test_an_estimate_depends_on_the_vela_that_is_installed_or_on_none_where_the_user_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its environment the compiler alone counts, as of a device's the interpreter."""
    raw = BASES["npu"].config()
    (device,) = raw["devices"]
    raw["devices"].append({**device, "name": "own", "npu": {**device["npu"], "executable": "vela"}})
    both = Config.model_validate(raw)
    pinned = runtimes.estimated(both, "npu")
    assert pinned.runtime == [line for line in runtimes.VELA_PINS.read_text().splitlines() if "vela==" in line]
    assert runtimes.estimated(both, "own").runtime is None
    for package, same in (("numpy", True), ("ethos-u-vela", False)):
        changed = tmp_path / package
        changed.write_text(runtimes.VELA_PINS.read_text().replace(f"{package}==", f"{package}==9"))
        with monkeypatch.context() as patch:
            patch.setattr(runtimes, "VELA_PINS", changed)
            assert (runtimes.estimated(both, "npu") == pinned) == same


def test_the_order_of_what_a_device_is_likened_to_is_no_other_measurement() -> None:
    given = {"devices": ["other", "local"], "until_percent": 5.0}
    found = []
    for names in (["other", "local"], ["local", "other"]):
        raw = changed(BASES["likened"].config(), {"devices.1.like": {**given, "devices": names}})
        one = Config.model_validate(raw)
        asked = [devices.like(one, "near"), devices.donors(one, "near"), runtimes.measured_donors(one, "near")]
        found.append(canonical(asked))
    assert found[0] == found[1]
    assert devices.likened(one, "local") == {}
