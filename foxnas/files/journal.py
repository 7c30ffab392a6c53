"""Journals write each measurement to disk at once, so that nothing is measured twice."""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from foxnas.errors import FoxnasError

_log = logging.getLogger(__name__)

#: Of a line: the checksum of what else it says. Lines without one, as older versions wrote them, are believed.
_CHECK = "crc32"


def _check(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


class Journal:
    """A file of JSON lines that only grows; a context manager.

    Every line carries `key`, what its number depends on (protocol, runner, device, models). Lines with
    another key stay in the file and are passed over: their turn comes if the old settings come back.

    Parameters
    ----------
    path
        The file; it and its folder are made when missing. A last line that was cut is removed.
    key
        Names and values as short text.
    """

    def __init__(self, path: Path, key: Mapping[str, str]) -> None:
        self.path, self._key = path, dict(key)
        self.records: list[dict[str, Any]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._read()
        except OSError as error:
            raise FoxnasError(f"{path}: the journal of measurements cannot be opened ({error.strerror})") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _read(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            _log.warning("%s: the last line was cut while it was written; it is dropped", self.path)
            self._file.truncate(whole)
        damaged = others = 0
        for line in content[:whole].splitlines():
            try:
                record = json.loads(line)
                if record.pop(_CHECK, None) not in (None, _check(record)):
                    raise ValueError
                key = record.pop("key")
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                damaged += 1
                continue
            if key == self._key:
                self.records.append(record)
            else:
                others += 1
        if damaged:
            _log.warning("%s: %d lines are damaged; what they held is measured again", self.path, damaged)
        if others:
            _log.info("%s: %d lines are of other settings, code, devices or models", self.path, others)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record; on return it is on the disk."""
        keyed = json.loads(json.dumps({**record, "key": self._key}, allow_nan=False))
        line = json.dumps(keyed | {_CHECK: _check(keyed)}) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise FoxnasError(
                f"{self.path}: a measurement cannot be written ({error.strerror}); what is there already is kept"
            ) from error
        del keyed["key"]
        self.records.append(keyed)


def as_text(moment: datetime) -> str:
    """Return a moment as journals have it, ISO 8601 in UTC: in the order of such text, two are in that of time.

    To the microsecond: a run may begin within the second that saw the last session of an interrupted one begin.
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def retire(path: Path) -> None:
    """Put the journal of a finished job aside: the job measures anew when it runs again. Keeps the last one.

    An empty one, of a job that was to begin, is no last one.
    """
    if not path.stat().st_size:
        path.unlink()
        return
    path.replace(path.with_suffix(f".finished{path.suffix}"))
