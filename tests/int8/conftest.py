"""TensorFlow's converter, asked no question twice."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from foxnas.int8 import converter
from foxnas.supernet.subnet import Subnet
from tests.conftest import shared_folder

Conversion = Callable[[Subnet, np.ndarray], tuple[bytes, frozenset[int]]]


@pytest.fixture(scope="module", autouse=True)
def converted_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the converter makes of a subnet and images for all files of this room: it takes a second or more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converter, "convert_int8", kept(converter.convert_int8, shared_folder(tmp_path_factory)))
        yield


def kept(convert: Conversion, folder: Path) -> Conversion:
    """The converter, whose answers are in files named after all that decides them."""

    def ask(subnet: Subnet, images: np.ndarray) -> tuple[bytes, frozenset[int]]:
        question = hashlib.sha256(repr((subnet.space, subnet.arch, images.shape)).encode() + images.tobytes())
        for name, tensor in subnet.state_dict().items():
            question.update(name.encode() + tensor.numpy().tobytes())
        answer = folder / f"{question.hexdigest()}.converted"
        if not answer.exists():
            own = answer.with_suffix(f".{os.getpid()}")
            own.write_bytes(pickle.dumps(convert(subnet, images)))
            own.replace(answer)
        found: tuple[bytes, frozenset[int]] = pickle.loads(answer.read_bytes())
        return found

    return ask
