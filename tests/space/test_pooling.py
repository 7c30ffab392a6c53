"""Shards of a stage: joined in order, and only those that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.files.tables import write_table
from foxnas.space.pooling import both_measured, gather, pool

BOARD = {"board": "Raspberry Pi 4", "machine": "4f2a", "runtime_version": "2.3", "kernel": "6.1"}


def shard(folder: Path, number: int, ids: Sequence[str], **made_by: Any) -> Path:
    path = folder / f"{number}.csv"
    write_table(path, pd.DataFrame({"id": list(ids), "arch": list(ids)}), {"script": "test", **made_by})
    return path


def test_the_first_rows_in_order(tmp_path: Path) -> None:
    shards = [shard(tmp_path, 0, "abc", identity=BOARD), shard(tmp_path, 1, "def", identity=BOARD)]
    joined, made_by = gather(shards, 4)
    assert "".join(joined["id"]) == "abcd"
    assert [record["identity"] for record in made_by] == [BOARD] * 2
    with pytest.raises(FoxnasError, match="hold 6 rows, 7 are needed"):
        gather(shards, 7)
    with pytest.raises(FoxnasError, match="subnet a is in it and the others twice"):
        gather([shards[0], shards[0]], 4)


@pytest.mark.parametrize("other", [{"machine": "77b1"}, {"runtime_version": "2.4"}, {"kernel": "6.8"}])
def test_shards_of_two_devices_or_runtimes_are_not_one_sample(tmp_path: Path, other: dict[str, str]) -> None:
    shards = [shard(tmp_path, 0, "abc", identity=BOARD), shard(tmp_path, 1, "def", identity={**BOARD, **other})]
    ((name, value),) = other.items()
    changed = rf'{name.replace("_", " ")} "{BOARD[name]}" -> "{value}"'
    with pytest.raises(FoxnasError, match=rf"1.csv: was not measured on the device .*: {changed}; .*name of its own"):
        gather(shards, 6)


def test_shards_that_were_not_measured_on_a_device_have_no_identity(tmp_path: Path) -> None:
    joined, _ = gather([shard(tmp_path, 0, "abc"), shard(tmp_path, 1, "def")], 6)
    assert len(joined) == 6


def settings(xnnpack: bool, sizes: tuple[int, ...] = (16,)) -> dict[str, Any]:
    return {"space": {"name": "mini", "image_sizes": list(sizes)}, "device": {"protocol": {"xnnpack": xnnpack}}}


def test_shards_of_two_settings_are_not_one_sample(tmp_path: Path) -> None:
    """As where a protocol was changed and Snakemake's records were lost before the sample grew."""
    shards = [
        shard(tmp_path, n, ids, identity=BOARD, settings=settings(bool(n))) for n, ids in enumerate(("abc", "def"))
    ]
    said = r"1.csv: was made with device.protocol.xnnpack true, \S+0.csv with false; delete .* run again"
    with pytest.raises(FoxnasError, match=said):
        gather(shards, 6)
    alike = [shard(tmp_path, n, ids, settings=settings(False)) for n, ids in enumerate(("abc", "def"))]
    assert len(gather(alike, 6)[0]) == 6


def test_tables_of_two_settings_are_not_pooled(tmp_path: Path) -> None:
    """The image size is what sizes differ by; of a gathered table, what its shards were made with counts."""
    small, large = shard(tmp_path, 16, ["r16_a", "r16_b"], settings=settings(False)), tmp_path / "24.csv"
    for xnnpack in (False, True):
        rows = pd.DataFrame({"id": ["c"], "arch": ["r24_c"]})
        write_table(large, rows, {"settings": {"rows": 1}, "shards": [{"settings": settings(xnnpack, (24,))}]})
        if not xnnpack:
            assert list(pool([small, large], [])["image_size"]) == [16, 16, 24]
    with pytest.raises(FoxnasError, match=r"24.csv: was made with device.protocol.xnnpack true"):
        pool([small, large], [])


def test_of_two_measurements_of_other_subnets_those_in_both_are_taken_if_that_is_meant(tmp_path: Path) -> None:
    names = {"one": ["a", "b", "c"], "two": ["c", "d", "b"], "three": ["e"]}
    tables = {}
    for number, (name, ids) in enumerate(names.items()):
        tables[name] = tmp_path / f"{name}.csv"
        rows = {"id": ids, "arch": [f"r16_{one}" for one in ids], f"value{number}": range(len(ids))}
        write_table(tables[name], pd.DataFrame(rows), {"script": "test"})
    one, two, three = ([path] for path in tables.values())
    found = both_measured(one, two, ["value0"], ["value1"], shared=True)
    assert found[["id", "value0", "value1"]].to_dict("list") == {"id": ["b", "c"], "value0": [1, 2], "value1": [2, 0]}
    assert both_measured(one, three, ["value0"], ["value2"], shared=True).empty
    with pytest.raises(FoxnasError, match=r"subnet [ad] is in one of the two measurements only"):
        both_measured(one, two, ["value0"], ["value1"])
