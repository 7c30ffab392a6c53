#!/usr/bin/env bash
# MediaPipe's wheel has the writers of TFLite metadata for its tasks, and nothing that can import them.
# Fails if that is no longer so. Needs Linux on x86-64, Python 3.11 or newer, 1 GB of disk.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mediapipe==1.2.3
echo "guess: mediapipe.tasks.python.metadata.metadata_writers.image_classifier, which the wheel has, can be imported"
"$folder/venv/bin/python" - <<'PYTHON'
import importlib
import sys
from pathlib import Path

import mediapipe

package = Path(mediapipe.__file__).parent
name = "tasks/python/metadata/metadata_writers/image_classifier.py"
print(f"mediapipe {mediapipe.__version__}: {name} is there: {(package / name).is_file()}")
try:
    importlib.import_module("mediapipe.tasks.python.metadata.metadata_writers.image_classifier")
except ModuleNotFoundError as error:
    print(f"import: {error}")
    missing = error.name
else:
    missing = None
# The extension `_pywrap_metadata_version`, which works out the parser version of a description, is in no wheel; the tasks
# themselves read metadata all the same, so a file that was described by another writer works.
there = any(package.rglob("*_pywrap_metadata_version*"))
print(f"the extension that it wants is in the wheel: {there}")
if missing is None or not missing.startswith("mediapipe.tasks.cc") or there:
    sys.exit("this has changed")
print("seen: the module is shipped without the extension that it imports, so nothing can be described with it")
PYTHON
