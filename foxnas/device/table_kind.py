"""Devices that are a table of the user's: nothing is timed."""

from __future__ import annotations

from typing import Any, ClassVar

from foxnas.device.kind import DeviceKind


class TableKind(DeviceKind):
    """Latencies are those of a table."""

    latency = "given"
    own_keys = ("table",)
    needs: ClassVar[dict[str, str]] = {"table": "{file: mine.csv, column: latency_ms, unit: ms}"}
    no_ssh = "which nothing connects to"

    def no_board(self, device: Any) -> str:
        """Return where the latencies are from."""
        return (
            f"is a table device, whose latencies are those of {device.table.file}: there is no board to examine; name "
            "a device that models are timed on"
        )
