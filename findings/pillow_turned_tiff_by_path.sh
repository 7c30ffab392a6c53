#!/usr/bin/env bash
# Pillow reads an uncompressed TIFF with an orientation tag garbled where it is opened by its path, and right from a file.
# Fails if that is no longer so. Needs Linux, Python 3.11 or newer, 0.1 GB of disk.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

path = Path(sys.argv[1]) / "turned.tif"
pixels = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
exif = Image.Exif()
exif[0x0112] = 6  # to be shown turned by a quarter, clockwise
Image.fromarray(pixels).save(path, exif=exif)
shown = np.rot90(pixels, -1)
print(f"Pillow {PIL.__version__}; written: {pixels.shape[1]} x {pixels.shape[0]} pixels, orientation 6")
print("guess: the pixels are the same whether Pillow is given the path or the open file")
with Image.open(path) as image:
    by_path = np.asarray(image)
with path.open("rb") as file:
    by_file = np.asarray(Image.open(file))
print(f"seen: by path {by_path.shape}, {by_path[0].tolist()} ...; by file {by_file.shape}, {by_file[0].tolist()} ...")
# Opened by its path, an uncompressed file is mapped into memory with the size that it has after turning; the turn that
# TiffImageFile makes when it loads is then made of rows of the wrong length.
if np.array_equal(by_path, shown) or not np.array_equal(by_file, shown):
    sys.exit("this has changed")
PYTHON
