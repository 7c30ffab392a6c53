"""Say what is on photographs, with the model in this folder: python3 classify.py PHOTO [PHOTO or FOLDER ...]

It needs Python 3.7 or later, Pillow 9.4 or later, and LiteRT (ai-edge-litert) or tflite-runtime. An image on standard
input, such as a camera's frame, is `-`. Each line has the image, the likeliest classes and their probabilities.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foxnas.images.config import EXTENSIONS
from foxnas.images.conversion import DAMAGED, FORMATS, damage_named, shown
from foxnas.images.views import View
from foxnas.runner.predicting import Predictor
from foxnas.runner.tflite import find_runtime, open_interpreter


class Classifier:
    """The model of a folder: model.tflite, labels.txt, and card.json, which says how to show it an image.

    Raises ValueError when these do not belong together.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        model = (folder / card["model"]["file"]).read_bytes()
        if hashlib.sha256(model).hexdigest() != card["model"]["sha256"]:
            raise ValueError(f"{folder / card['model']['file']} is not the file that card.json describes; copy both")
        self.labels = (folder / "labels.txt").read_text(encoding="utf-8").splitlines()
        module = find_runtime()[0]
        serving = card["serving"]
        interpreter = open_interpreter(module, model, threads or serving["threads"], serving["xnnpack"])
        self._model = Predictor(interpreter)
        described = self._model.description()
        size, _, channels = described["image_shape"]
        if described["output_shape"] != [len(self.labels)]:
            raise ValueError(
                f"labels.txt has {len(self.labels)} lines, the model {described['output_shape'][0]} classes"
            )
        self._view = View(size, channels, card["input"]["centre_share"])
        self._scale, self._zero_point = described["scale"], described["zero_point"]

    def pixels(self, content: bytes) -> Any:
        """Return what the model is shown of an image file, uint8 (size, size, channels). Raises one of `DAMAGED`."""
        with damage_named():
            opened = Image.open(io.BytesIO(content), formats=FORMATS)
        return np.asarray(self._view.of(shown(opened, self._view.channels))).reshape(self._view.shape)

    def probabilities(self, pixels: Any) -> Any:
        """Return the probability of every class, float64 (classes,)."""
        raw = self._model.outputs(pixels[None])[0].astype(np.float64)
        logits = (raw - self._zero_point) * self._scale
        powers = np.exp(logits - logits.max())
        return powers / powers.sum()


def images_of(place: str) -> Iterator[tuple[str, bytes]]:
    """Give the images of a file, of a folder and the folders in it, or of standard input, `-`."""
    if place == "-":
        yield place, sys.stdin.buffer.read()
    elif Path(place).is_dir():
        for path in sorted(Path(place).rglob("*")):
            if path.is_file() and path.name.lower().endswith(EXTENSIONS) and not path.name.startswith("."):
                yield str(path), path.read_bytes()
    else:
        yield place, Path(place).read_bytes()


def main(words: list[str]) -> int:
    """Write a line for every image; return 1 if one could not be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="+", metavar="PHOTO", help="an image, a folder of images, or -")
    parser.add_argument("--top", type=int, default=1, help="how many classes to name (1)")
    parser.add_argument("--threads", type=int, help="threads of the runtime (as measured)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with every probability")
    given = parser.parse_args(words)
    try:
        classifier = Classifier(Path(__file__).resolve().parent, given.threads)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    failed = 0
    for place in given.places:
        try:
            for name, content in images_of(place):
                try:
                    found = classifier.probabilities(classifier.pixels(content))
                except DAMAGED as error:
                    failed = 1
                    print(f"error: {name}: {error}", file=sys.stderr)
                    continue
                print(_line(name, found, classifier.labels, given), flush=True)
        except OSError as error:
            failed = 1
            print(f"error: {place}: {error.strerror}", file=sys.stderr)
    return failed


def _line(name: str, found: Any, labels: list[str], given: argparse.Namespace) -> str:
    if given.json:
        chances = {label: round(float(chance), 6) for label, chance in zip(labels, found)}  # noqa: B905 - Python 3.7
        return json.dumps({"image": name, "class": labels[int(found.argmax())], "probabilities": chances})
    best = np.argsort(-found, kind="stable")[: given.top]
    return "\t".join([name, *(word for i in best for word in (labels[i], f"{found[i]:.3f}"))])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
