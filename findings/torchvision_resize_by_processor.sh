#!/usr/bin/env bash
# torchvision resizes the same bytes to different bytes, depending on the instructions of the processor.
# Fails if that is no longer so. Needs Linux on x86-64 with AVX2, Python 3.11 or newer, 6 GB of disk.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cat >"$folder/resize.py" <<'PYTHON'
import sys

import numpy as np
import torch
import torchvision
from torchvision.transforms.v2 import functional as transforms

images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 3, 256, 320)).astype(np.uint8))
by_torchvision = transforms.resize(images, [224], antialias=True)
by_torch = torch.nn.functional.interpolate(
    images, by_torchvision.shape[2:], mode="bilinear", align_corners=False, antialias=True
)
np.savez(sys.argv[1], torchvision=by_torchvision.numpy(), torch=by_torch.numpy())
print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, {torch.backends.cpu.get_cpu_capability()}")
PYTHON
for capability in avx2 default; do
    ATEN_CPU_CAPABILITY=$capability "$folder/venv/bin/python" "$folder/resize.py" "$folder/$capability.npz"
done
echo "guess: resizing uint8 images, antialiased and bilinear, gives the same bytes on every processor"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import numpy as np

narrow, wide = (np.load(f"{sys.argv[1]}/{name}.npz") for name in ("default", "avx2"))
apart = {name: np.abs(narrow[name].astype(int) - wide[name].astype(int)) for name in ("torchvision", "torch")}
for name, difference in apart.items():
    print(f"{name}: {100 * (difference > 0).mean():.1f}% of the values differ without AVX2, by at most {difference.max()}")
# torchvision.transforms.v2.functional._geometry._do_native_uint8_resize_on_cpu: with AVX2, or on Arm, uint8 is resized in
# integers; elsewhere it is converted to float32, resized and rounded. torch's own function on uint8 has one result.
if not (apart["torchvision"].max() == 1 and (apart["torchvision"] > 0).mean() > 0.1 and apart["torch"].max() == 0):
    sys.exit("this has changed")
print("seen: torchvision takes another path, with another rounding; torch.nn.functional.interpolate does not")
PYTHON
