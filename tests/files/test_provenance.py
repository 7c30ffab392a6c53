"""What artefacts say of their making is read off every kind of file, and compared leaf by leaf."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.files.arrays import array_seal, load_array, seal_array
from foxnas.files.provenance import differing, leaf, recorded_making, recorded_settings
from foxnas.files.tables import write_json, write_table

SETTINGS = {"space": {"name": "größe", "image_sizes": [16]}, "seed": 1, "text": "\n\"'<>&\\"}

DAMAGED = (
    b"", b"x,y\n1,2\n", b"{}", b"[1]", b'{"made_by": 3}', b'{"made_by": {"settings": 3}}', b"\xff" * 20, b"[" * 100_000,
    b'# foxnas table {"made_by"', b"\x02\0\0\0\0\0\0\0{}", os.urandom(99),
)  # fmt: skip


def array(path: Path, made_by: dict[str, object] | None) -> Path:
    np.save(path, np.arange(6, dtype=np.uint8))
    seal_array(path, made_by)
    return path


def test_tables_json_and_arrays_say_their_settings(tmp_path: Path) -> None:
    """Pages and weights, in the tests of their writers."""
    write_table(tmp_path / "a.csv", pd.DataFrame({"x": [1]}), {"settings": SETTINGS})
    write_json(tmp_path / "a.json", {"made_by": {"settings": SETTINGS}, "x": 1})
    array(tmp_path / "a.npy", {"settings": SETTINGS})
    for suffix in ("csv", "json", "npy"):
        assert recorded_settings(tmp_path / f"a.{suffix}") == SETTINGS


def test_a_rule_is_held_to_settings_script_and_inputs(tmp_path: Path) -> None:
    told = {"script": "a.py", "inputs": {"tables": "2 files 0123"}}
    write_json(tmp_path / "a.json", {"made_by": {"settings": SETTINGS, "code": "4567", **told}, "x": 1})
    assert recorded_making(tmp_path / "a.json") == SETTINGS | told
    write_json(tmp_path / "a.json", {"made_by": {"settings": SETTINGS}, "x": 1})
    assert recorded_making(tmp_path / "a.json") == SETTINGS
    write_json(tmp_path / "a.json", {"made_by": told, "x": 1})
    assert recorded_making(tmp_path / "a.json") is None


@pytest.mark.parametrize("suffix", ["csv", "json", "npy", "safetensors", "html", "tflite", "gz", ""])
def test_a_file_that_says_none_or_is_damaged_or_missing_has_none(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    assert recorded_settings(path) is None
    for content in DAMAGED:
        path.write_bytes(content)
        assert recorded_settings(path) is None
    path.unlink()
    path.mkdir()
    assert recorded_settings(path) is None


def test_an_arrays_digest_is_of_its_numbers_and_what_made_it_is_sealed_too(tmp_path: Path) -> None:
    """Journals go by the digest: another version of a package is no other image."""
    silent, said = array(tmp_path / "a.npy", None), array(tmp_path / "b.npy", {"settings": SETTINGS})
    assert array_seal(silent) == array_seal(said) == array_seal(array(tmp_path / "c.npy", {"settings": {}}))
    assert (load_array(silent) == load_array(said)).all()
    assert (np.load(said) == np.arange(6)).all()
    whole = said.read_bytes()
    deep = whole.replace(b'"settings": ', b'"settings": ' + b'{"a": ' * 9_000)
    for damaged in (whole[:-2], whole[:-1], whole.replace(b'"seed": 1', b'"seed": 2'), whole + b"x", deep):
        said.write_bytes(damaged)
        with pytest.raises(FoxnasError, match="truncated or edited"):
            load_array(said)


def test_settings_differ_by_leaves_that_both_have() -> None:
    one = {"protocol": {"xnnpack": True, "threads": 1}, "scene": None, "sizes": [16, 24], "old": 1}
    other = {"protocol": {"xnnpack": 1, "threads": 1, "new": 2}, "scene": {"canvas": 48}, "sizes": [16]}
    assert differing(one, other) == ["protocol.xnnpack", "scene", "sizes"]
    assert leaf(one, "protocol.xnnpack") == "true"
    assert differing(one, one) == []
    assert differing(one, other, {"new"}) == ["protocol.xnnpack", "protocol.new", "scene", "sizes"]
    assert (leaf(one, "protocol.new"), leaf(other, "protocol.new")) == ("its default", "2")
    spelt = {"budget": 20, "list": [1, {"a": True}], "text": "x"}
    assert differing(spelt, {"budget": 20.0, "list": [1.0, {"a": True}], "text": "x"}) == []
    assert differing(spelt, {"budget": "20", "list": [1, {"a": 1}], "text": "x"}) == ["budget", "list"]
