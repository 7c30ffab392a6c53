"""Tables notice when they were cut or edited, and nothing half-written survives."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, read_provenance, read_table, replacing, row_count, write_json, write_table

ROOT = Path(__file__).resolve().parents[2]
ROWS = pd.DataFrame({"id": ["0012", "34e5"], "arch": ["a", "b"], "latency_ms": [0.1, 1 / 3]})


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.csv"
    write_table(path, ROWS, {"seed": 3})
    pd.testing.assert_frame_equal(read_table(path, ["latency_ms"]), ROWS, check_dtype=False)
    assert read_provenance(path) == {"seed": 3}


@pytest.mark.parametrize("damage", [lambda t: t[:-8], lambda t: t.replace("0.1", "0.2"), lambda t: t + "x,y,1\n"])
def test_a_truncated_or_edited_table_is_named(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "table.csv"
    write_table(path, ROWS, {})
    path.write_text(damage(path.read_text()))
    with pytest.raises(FoxnasError, match=r"table\.csv: was truncated or edited.*delete the file"):
        read_table(path)


def test_a_foreign_file_and_a_missing_column_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,arch\n1,2\n")
    with pytest.raises(FoxnasError, match="is not a table of this workflow"):
        read_table(path)
    write_table(path, ROWS, {})
    with pytest.raises(FoxnasError, match=r"has no column 'top1_percent' .it has id, arch, latency_ms"):
        read_table(path, ["top1_percent"])


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_an_edited_header_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(path, ROWS, {"seed": 3})
    whole = path.read_text()
    for old, new in (('"seed": 3', '"seed": 4'), ('"made_by": ', '"made_by": ' + "[" * 100_000)):
        path.write_text(whole.replace(old, new))
        with pytest.raises(FoxnasError, match=r"table\.csv: .*its first line was edited; delete the file"):
            read_table(path)
    path.write_text("# foxnas table [1]\nid\n")
    with pytest.raises(FoxnasError, match=r"table\.csv: .*its first line was edited; delete the file"):
        read_table(path)


def test_what_a_kill_left_is_overwritten_and_writers_take_turns(tmp_path: Path) -> None:
    """Two at once write one after the other, and the file is whole: that of the last."""
    path = tmp_path / "value.json"
    program = f"""
import os, signal, time
from pathlib import Path
from foxnas.files.tables import replacing
with replacing(Path({str(path)!r})) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        process.stdout.readline()
        other = threading.Thread(target=write_json, args=(path, {"a": 1}))
        other.start()
        time.sleep(0.2)
        assert other.is_alive(), "it must wait for the first"
        process.kill()
    other.join()
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_edited_by_hand_is_named_and_written_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"rows": (1, 2), 3: "x"})
    assert read_json(path) == {"rows": [1, 2], "3": "x"}
    path.write_text(path.read_text().replace("2", "7"))
    with pytest.raises(FoxnasError, match=r"value\.json: was edited since it was written; delete the file"):
        read_json(path)
    path.write_text('{"a": 1}')
    assert read_json(path) == {"a": 1}


def test_damaged_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    for text in ('{"a": ', "[" * 100_000, '{"a": ' * 5_000 + "1" + "}" * 5_000):
        path.write_text(text)
        with pytest.raises(FoxnasError, match=r"value\.json: not readable as JSON"):
            read_json(path)
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"a": float("nan")})


@pytest.mark.parametrize(
    "text", ["a\rb", "\r", "a\r\nb", "\n", "a\x0bb\x0c\x1c\x85\u2028", 'quo"te', "a,b", " ", "#", "\u00e9\x1b[31m"]
)
def test_any_text_comes_back_as_it_was(text: str, tmp_path: Path) -> None:
    """Of a device's error, or of a file's name."""
    rows = pd.DataFrame({"reason": [text, "plain"], "latency_ms": [1.5, 2.0], "runs": [3, 4], "usable": [True, False]})
    write_table(tmp_path / "table.csv", rows, {"said": text})
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv"), rows)
    assert read_provenance(tmp_path / "table.csv") == {"said": text}
    assert row_count(tmp_path / "table.csv") == 2


def test_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": ["a", "b"]})
    write_table(tmp_path / "table.csv", rows, {})
    (tmp_path / "table.csv").write_bytes((tmp_path / "table.csv").read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv"), rows)
