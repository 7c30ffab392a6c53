"""A fake root of a machine that is not here, with the kernel's files on clock, temperature and load."""

from __future__ import annotations

from pathlib import Path


def fake_sysfs(root: Path, files: dict[str, str]) -> Path:
    """Write files with the kernel's line ends below a fake root."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root
