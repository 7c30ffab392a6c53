"""Compilations by content: whatever was compiled once, by whichever job, is never compiled again.

A folder of pairs: ``<key>.json``, the report and the compiler's words, and ``<key>.tflite.xz``, the compiled
model. It is no rule's output, so it outlives failed jobs, and it may be deleted when nothing is left to be timed.
"""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import asdict
from pathlib import Path

from foxnas.edgetpu.compiler import Compilation, Compiler
from foxnas.edgetpu.log import CompileReport, Status
from foxnas.errors import FoxnasError
from foxnas.files.tables import read_json, replacing, write_json

#: A probe's weights repeat with a period of a MiB at most, so the dictionary must reach further back than that.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 23}]

#: Part of every key: raise it when the check or the reading of logs says something else of the same model.
_EDITION = "1"


class CompileCache:
    """The folder, which is made when something is kept in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, content: bytes, compiler: Compiler) -> str:
        """Return what a compilation depends on, as 24 hexadecimal digits: model, compiler version, runtime version."""
        parts = (_EDITION, hashlib.sha256(content).hexdigest(), compiler.version, str(compiler.runtime))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]

    def compile(self, content: bytes, compiler: Compiler) -> tuple[str, Compilation]:
        """Return key and compilation of a model, from the folder where it is there and whole.

        A time-out is kept for limits up to the one it was met under. Raises FoxnasError as
        `Compiler.compile` does.
        """
        key = self.key(content, compiler)
        known = self._find(key, compiler.timeout_s)
        if known is not None:
            return key, known
        made = compiler.compile(content)
        compressed = None
        if made.content is not None:
            compressed = lzma.compress(made.content, filters=_FILTERS)
            with replacing(self._path(key, ".tflite.xz")) as temporary:
                temporary.write_bytes(compressed)
        record = {
            "report": asdict(made.report),
            "timeout_s": compiler.timeout_s,
            "sha256": hashlib.sha256(made.content).hexdigest() if made.content is not None else None,
            "compressed_bytes": len(compressed) if compressed is not None else None,
            "output": made.output,
        }
        write_json(self._path(key, ".json"), record)  # last, so that a record stands for a whole pair
        return key, made

    def read(self, key: str) -> bytes:
        """Return a compiled model. Raises FoxnasError when it is gone or damaged."""
        found = self._find(key, 0)
        if found is None or found.content is None:
            raise FoxnasError(
                f"{self._path(key, '.tflite.xz')}: the compiled model is missing or damaged; delete the table that "
                "names it and run again to have it compiled anew"
            )
        return found.content

    def _path(self, key: str, suffix: str) -> Path:
        return self.folder / key[:2] / f"{key}{suffix}"

    def _find(self, key: str, timeout_s: int) -> Compilation | None:
        """What the folder holds under a key; None where it holds nothing that can be believed."""
        try:
            record = read_json(self._path(key, ".json"))
            values = record["report"] | {"status": Status(record["report"]["status"])}
            values["unmapped"] = tuple((str(name), int(n), str(why)) for name, n, why in values["unmapped"])
            report = CompileReport(**values)
            if report.status is Status.TIMED_OUT and record["timeout_s"] < timeout_s:
                return None
            if record["sha256"] is None:
                return Compilation(report, None, record["output"])
            content = lzma.decompress(self._path(key, ".tflite.xz").read_bytes())
        except (OSError, EOFError, ValueError, KeyError, TypeError, lzma.LZMAError):
            return None
        if hashlib.sha256(content).hexdigest() != record["sha256"]:
            return None
        return Compilation(report, content, record["output"])
