"""Views of images that are very long: the same as of the whole, in memory that the crop bounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from foxnas.images.pixels import resize
from foxnas.images.views import LONGEST, View, middle, shorter_side

LONG = """
import resource, sys
from pathlib import Path
import numpy as np
from PIL import Image
from foxnas.images.decoding import ImageFile, decode_files
from foxnas.images.prepared import prepare_images
from foxnas.images.views import View
kind, width, height, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
resource.setrlimit(resource.RLIMIT_DATA, (10**9, 10**9))
view = View(320, 3, 0.875)
if kind == "file":
    Image.new("RGB", (width, height), (9, 99, 199)).save(folder / "x.png")
    decode_files([ImageFile(str(folder / "x.png"), (folder / "x.png").stat().st_size)], view, folder / "y.npy", 1)
else:
    np.save(folder / "x.npy", np.full((3, height, width, 3), (9, 99, 199), np.uint8))
    prepare_images(folder / "x.npy", None, view, folder / "y.npy", 1)
assert (np.load(folder / "y.npy") == (9, 99, 199)).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000)
"""


@pytest.mark.parametrize("kind", ["file", "array"])
@pytest.mark.parametrize(("width", "height"), [(1, 60_000), (60_000, 1)])
def test_a_long_image_takes_the_memory_of_its_crop(tmp_path: Path, kind: str, width: int, height: int) -> None:
    """A process of at most 1 GB prepares what took 16 GB; torch alone takes some hundred MB."""
    done = subprocess.run(
        [sys.executable, "-c", LONG, kind, str(width), str(height), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("size", [(30, 30 * LONGEST), (7, 7 * LONGEST), (7 * LONGEST, 7), (31, 45), (1, LONGEST)])
def test_nothing_is_cut_of_images_up_to_the_limit(size: tuple[int, int]) -> None:
    assert middle(size) == (0, 0, *size)


@pytest.mark.parametrize(("width", "height"), [(9, 1000), (1000, 9), (8, 501), (1, 60)])
@pytest.mark.parametrize(("size", "share"), [(32, 0.875), (24, 1.0)])
def test_a_long_images_view_is_that_of_the_whole(width: int, height: int, size: int, share: float) -> None:
    """Within what the rounding of the longer side moves it: a part of a pixel."""
    y, x = np.mgrid[:height, :width]
    waves = 127 + 60 * np.sin(x / 40 + 1) + 60 * np.sin(y / 40)
    image = Image.fromarray(waves.astype(np.uint8))
    reference = Compose([Resize(shorter_side(size, share)), CenterCrop(size)])
    expected = np.asarray(reference(image)).astype(int)
    assert np.abs(np.asarray(View(size, 1, share).of(image)).astype(int) - expected).max() <= 2
    array = resize(np.array(image)[None, ..., None], size, share)[0, ..., 0]
    assert np.abs(array.astype(int) - expected).max() <= 2
