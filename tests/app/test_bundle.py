"""One file out of several modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from foxnas.app import bundle
from foxnas.app.bundle import bundled


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "foxnas"
    place.mkdir()
    monkeypatch.setattr(bundle, "PACKAGE", place)
    (place / "deep.py").write_text(
        "import math\nimport json\n\n#: Half a turn.\nHALF = math.pi\nUNUSED = json.dumps({})\n\n\n"
        "def turned(x):\n    return x + HALF\n"
    )
    (place / "mid.py").write_text(
        "from foxnas.deep import turned\n\n\nclass Wheel:\n    def turn(self, x):\n        return turned(x)\n\n\n"
        "def unused():\n    return nothing\n"
    )
    return place


def write_main(package: Path, text: str) -> Path:
    path = package / "main.py"
    path.write_text(f'"""Turn."""\n\nfrom __future__ import annotations\n\n{text}')
    return path


def test_what_is_used_is_there_and_nothing_else(package: Path) -> None:
    main = write_main(
        package,
        "from foxnas.mid import Wheel\n\n\ndef main():\n    return Wheel().turn(1)\n\n\n"
        "if __name__ == '__main__':\n    print(main())\n",
    )
    text = bundled(main)
    assert text.startswith('#!/usr/bin/env python3\n"""Turn."""\n\nfrom __future__ import annotations\n\nimport math\n')
    assert "#: Half a turn.\nHALF = math.pi" in text
    assert not [word for word in ("UNUSED", "unused", "foxnas", "json") if word in text]
    assert text.index("HALF =") < text.index("class Wheel") < text.index("def main") < text.index("__main__")
    found: dict[str, object] = {"__name__": "elsewhere"}
    exec(compile(text, "bundle", "exec"), found)
    assert found["main"]() == pytest.approx(4.14159, abs=1e-5)  # type: ignore[operator]


def test_one_name_for_two_things_is_refused(package: Path) -> None:
    main = write_main(package, "from foxnas.deep import turned\n\nHALF = 2\n\n\ndef main():\n    return turned(HALF)\n")
    with pytest.raises(ValueError, match="HALF stands in"):
        bundled(main)


@pytest.mark.parametrize(
    "line", ["import foxnas.deep", "from foxnas.deep import turned as t", "from foxnas import deep"]
)
def test_an_import_that_cannot_be_followed_is_refused(package: Path, line: str) -> None:
    used = line.split()[-1].partition(".")[0]
    with pytest.raises(ValueError, match="import the names that are used"):
        bundled(write_main(package, f"{line}\n\n\ndef main():\n    return {used}\n"))
