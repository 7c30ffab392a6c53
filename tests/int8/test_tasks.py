"""What a .tflite file says of its tensors to MediaPipe's tasks: by a reader of FlatBuffers alone, and a zip reader."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from flatbuffers import encode, number_types, packer
from flatbuffers.table import Table

from foxnas.int8.reading import read_metadata, read_model, read_summary, with_metadata
from foxnas.int8.serving import Int8Model
from foxnas.int8.tasks import Classifier, described
from foxnas.space.space import SearchSpace
from tests.support.exports import exported_case

CLASSIFIER = Classifier("mini", 28, 3, ["cat", "Hündin", "T-shirt/top"])


class Read:
    """A table of a FlatBuffer: fields by their numbers in the schema."""

    def __init__(self, content: bytes, place: int) -> None:
        self.table = Table(bytearray(content), place)

    @classmethod
    def root(cls, content: bytes) -> Read:
        return cls(content, encode.Get(packer.uoffset, bytearray(content), 0))

    def _field(self, number: int) -> int:
        found = self.table.Offset(4 + 2 * number)
        assert found, number
        return int(found + self.table.Pos)

    def text(self, number: int) -> str:
        return bytes(self.table.String(self._field(number))).decode()

    def number(self, number: int, kind: Any = number_types.Uint32Flags) -> int:
        return int(self.table.Get(kind, self._field(number)))

    def inner(self, number: int) -> Read:
        return Read(self.table.Bytes, self.table.Indirect(self._field(number)))

    def only(self, number: int) -> Read:
        field = self._field(number) - self.table.Pos
        assert self.table.VectorLen(field) == 1
        return Read(self.table.Bytes, self.table.Indirect(self.table.Vector(field)))

    def floats(self, number: int) -> list[float]:
        return list(self.table.GetVectorAsNumpy(number_types.Float32Flags, self._field(number) - self.table.Pos))


@pytest.mark.parametrize(("channels", "colours"), [(3, 1), (1, 2)])
def test_the_description_says_what_the_tensors_mean(channels: int, colours: int) -> None:
    content = described(CLASSIFIER._replace(channels=channels))
    assert content[4:8] == b"M001"
    model = Read.root(content)
    assert (model.text(0), model.text(7)) == ("mini", "1.0.0")
    graph = model.only(3)
    image, logits = graph.only(2), graph.only(3)
    assert (image.text(0), logits.text(0)) == ("image", "logits")
    assert image.inner(3).number(0, number_types.Uint8Flags) == 2
    seen = image.inner(3).inner(1)
    assert seen.number(0, number_types.Int8Flags) == colours
    assert (seen.inner(1).number(0), seen.inner(1).number(1)) == (28, 28)
    unit = image.only(4)
    assert unit.number(0, number_types.Uint8Flags) == 1
    assert (unit.inner(1).floats(0), unit.inner(1).floats(1)) == ([0.0] * channels, [255.0] * channels)
    assert (image.inner(5).floats(0), image.inner(5).floats(1)) == ([1.0] * channels, [0.0] * channels)
    labels = logits.only(6)
    assert (labels.text(0), labels.number(2, number_types.Int8Flags)) == ("labels.txt", 2)


def test_a_described_model_is_the_same_with_labels_behind_it(mini: SearchSpace) -> None:
    model = exported_case(mini, "random 28", "foxnas")
    content = with_metadata(model.int8, {"seed": 3}, CLASSIFIER)
    assert content == with_metadata(model.int8, {"seed": 3}, CLASSIFIER)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSIFIER.labels)
    entries = {
        entry.name: bytes(read_model(content).buffers[entry.buffer].data) for entry in read_model(content).metadata
    }
    assert entries[b"TFLITE_METADATA"] == described(CLASSIFIER)
    assert read_metadata(content) == {"seed": 3}
    assert read_summary(content) == read_summary(model.int8)
    np.testing.assert_array_equal(Int8Model(content).logits(model.images), Int8Model(model.int8).logits(model.images))
    again = with_metadata(content, {"seed": 4}, CLASSIFIER)
    assert len(read_model(again).metadata) == len(read_model(content).metadata)
