"""Says in a .tflite file what its tensors mean, as TFLite's metadata schema has it and MediaPipe's tasks read it.

The description is a FlatBuffer of its own, in a buffer of the model that is named `TFLITE_METADATA`; the labels are a
file in a zip archive behind the model, where runtimes do not look. Tables and numbers of fields are those of
`metadata_schema.fbs`, in PyPI's `mediapipe` 1.2.3 (mediapipe/tasks/metadata), parser version 1.0.0.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

import flatbuffers

ENTRY = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
_LABELS = "labels.txt"

#: Numbers of the unions' members and of the enumerations.
_IMAGE_PROPERTIES, _NORMALISATION = 2, 1
_RGB, _GREYSCALE = 1, 2
_TENSOR_AXIS_LABELS = 2


class Classifier(NamedTuple):
    """What an app has to know of a classifier: name, side and channels of its images, and its classes' names."""

    name: str
    size: int
    channels: int
    labels: Sequence[str]


def described(classifier: Classifier) -> bytes:
    """Return the description: an image of pixels / 255, and logits along whose axis the labels lie."""
    builder = flatbuffers.Builder(1024)

    def table(fields: int, **slots: tuple[str, int]) -> int:
        """Write a table: per slot (as `_3`) how it is prepended, and the value."""
        builder.StartObject(fields)
        for slot, (kind, value) in slots.items():
            getattr(builder, f"Prepend{kind}Slot")(int(slot[1:]), value, 0)
        return int(builder.EndObject())

    def reference(offset: int) -> tuple[str, int]:
        return "UOffsetTRelative", offset

    def text(value: str) -> tuple[str, int]:
        return reference(builder.CreateString(value))

    def tables(*offsets: int) -> tuple[str, int]:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return reference(builder.EndVector())

    def numbers(value: float) -> tuple[str, int]:
        builder.StartVector(4, classifier.channels, 4)
        for _ in range(classifier.channels):
            builder.PrependFloat32(value)
        return reference(builder.EndVector())

    side = table(2, _0=("Uint32", classifier.size), _1=("Uint32", classifier.size))
    image = table(2, _0=("Int8", _RGB if classifier.channels == 3 else _GREYSCALE), _1=reference(side))
    content = table(3, _0=("Uint8", _IMAGE_PROPERTIES), _1=reference(image))
    mean, deviation = numbers(0.0), numbers(255.0)
    unit = table(2, _0=("Uint8", _NORMALISATION), _1=reference(table(2, _0=mean, _1=deviation)))
    lowest, highest, units, name = numbers(0.0), numbers(1.0), tables(unit), text("image")
    stats = reference(table(2, _0=highest, _1=lowest))
    given = table(7, _0=name, _3=reference(content), _4=units, _5=stats)

    labels, meaning = text(_LABELS), text("The names of the classes, in the order of the logits.")
    files = tables(table(5, _0=labels, _1=meaning, _2=("Int8", _TENSOR_AXIS_LABELS)))
    name, meaning = text("logits"), text("Their softmax is the probability of every class.")
    returned = table(7, _0=name, _1=meaning, _6=files)

    inputs, outputs = tables(given), tables(returned)
    graphs = tables(table(10, _2=inputs, _3=outputs))
    name, version = text(classifier.name), text("1.0.0")
    builder.Finish(table(8, _0=name, _3=graphs, _7=version), _IDENTIFIER)
    return bytes(builder.Output())


def with_labels(content: bytes, labels: Sequence[str]) -> bytes:
    """Return a model's file with the labels behind it; equal arguments give equal bytes."""
    held = io.BytesIO(content)
    with zipfile.ZipFile(held, "a") as archive:
        # Without the time of day, and stored: what ZipInfo says of a name alone.
        archive.writestr(zipfile.ZipInfo(_LABELS), "".join(f"{label}\n" for label in labels))
    return held.getvalue()
