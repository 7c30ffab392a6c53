"""A faulty way between a runner and its host: passes on the frames of its stdin, and does to some what orders say.

Runs by its path, with the folder of orders, and without this package. An order is a JSON file: the `type` of answer
that it waits for, and one of `change` (fields), `drop` (a field), `line` (in place of the answer), `twice` (the answer
again) and `half` (the first part of it, and then nothing ever again). The first order by name is carried out first,
once; its file is removed then.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def framed(text: bytes) -> bytes:
    """Return a line as a runner sends it, without a body."""
    return b"foxnas %08x %s\n" % (zlib.crc32(b"", zlib.crc32(text)), text)


def main(orders: Path, read: Callable[[], bytes], write: Callable[[bytes], Any]) -> None:
    while line := read():
        text = line.split(b" ", 2)[2] if line.startswith(b"foxnas ") else b"{}"
        answer = json.loads(text)
        for path in sorted(orders.glob("*.json")):
            order = json.loads(path.read_text())
            if order["type"] == answer.get("type"):
                path.unlink()
                write(_obey(order, line, answer))
                while "half" in order and read():
                    pass
                break
        else:
            write(line)


def _obey(order: dict[str, Any], line: bytes, answer: dict[str, Any]) -> bytes:
    if "line" in order:
        return framed(order["line"].encode())
    if "twice" in order:
        return line + line
    if "half" in order:
        return line[: len(line) // 2]
    changed = {**answer, **order.get("change", {})}
    changed.pop(order.get("drop"), None)
    return framed(json.dumps(changed).encode())


if __name__ == "__main__":
    out = open(1, "wb", buffering=0)  # noqa: SIM115 (it is stdout)
    main(Path(sys.argv[1]), open(0, "rb").readline, out.write)  # noqa: SIM115
