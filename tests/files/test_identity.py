"""Which device measured what: a changed one is named, with what changed; what old records do not tell is no change."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.files.identity import changes, identities, identities_of_tables, require_same
from foxnas.files.tables import write_json, write_table

PI = {"machine": "0123", "cpu": "Cortex-A72", "runtime_version": "2.3.0", "kernel": "6.1", "governor": "performance"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("machine", "4567", 'machine "0123" -> "4567"'),
        ("cpu", "Cortex-A76", 'CPU "Cortex-A72" -> "Cortex-A76"'),
        ("kernel", "6.8", 'kernel "6.1" -> "6.8"'),
        ("governor", "powersave", 'governor "performance" -> "powersave"'),
        ("runtime_version", "2.4.0", 'runtime version "2.3.0" -> "2.4.0"'),
        ("cpu", None, 'CPU "Cortex-A72" -> null'),
    ],
)
def test_a_change_is_named_with_before_and_now_and_the_way_out(name: str, value: str | None, words: str) -> None:
    assert changes(PI, PI | {name: value}) == words
    with pytest.raises(FoxnasError) as refused:
        require_same("pi", [PI, PI], PI | {name: value})
    said = str(refused.value)
    assert said.startswith(f"device pi: this device is not the one that its sample was measured on: {words}. ")
    assert "the same command with `--forcerun time_subnets`" in said
    with pytest.raises(FoxnasError, match="the same command with `--forcerun time_compiled`"):
        require_same("coral", [PI], PI | {name: value, "backend": "edgetpu"})
    with pytest.raises(FoxnasError) as refused:
        require_same("pi", [PI], PI | {name: value}, "what measured x", "Do this.")
    assert str(refused.value) == (
        f"device pi: what measured x is not the one that its sample was measured on: {words}. Do this."
    )


def test_what_older_records_do_not_tell_is_no_change() -> None:
    old = {name: value for name, value in PI.items() if name not in ("kernel", "governor")}
    assert changes(old, PI) == changes(PI, old) == changes(PI, PI) == ""
    assert changes(old, PI | {"cpu": "Cortex-A76"})
    assert changes({}, PI), "a record without any is not of this device"
    require_same("pi", [], PI)


def test_identities_are_read_from_sessions_and_from_the_shards_of_tables(tmp_path: Path) -> None:
    write_json(tmp_path / "0.json", {"identity": PI})
    write_json(tmp_path / "1.json", {})
    assert identities([tmp_path / "0.json", tmp_path / "1.json"]) == [PI]
    shards = [{"identity": PI}, {"identity": PI | {"kernel": "6.8"}}]
    write_table(tmp_path / "all.csv", pd.DataFrame({"id": []}), {"shards": shards})
    write_table(tmp_path / "one.csv", pd.DataFrame({"id": []}), {"identity": PI})
    assert identities_of_tables([tmp_path / "all.csv", tmp_path / "one.csv"]) == [PI, PI | {"kernel": "6.8"}, PI]
