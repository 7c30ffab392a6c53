"""Several images at a time: the same integers as one by one, on both executors."""

from __future__ import annotations

import logging
from itertools import islice

import numpy as np
import pytest

from foxnas.int8.probe import ProbeWriter
from foxnas.int8.serving import Int8Model, answers
from foxnas.space.space import SearchSpace
from tests.support.int8_model import real_model, shapes


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("size", [16, 28, 36])
def test_images_together_are_answered_as_one_by_one(mini: SearchSpace, size: int, xnnpack: bool) -> None:
    writer, images = ProbeWriter(mini), shapes(50, size, np.random.default_rng(size))
    for arch in (mini.largest(size), *islice(mini.sample(size, np.random.default_rng(0)), 2)):
        content = writer.write(arch)
        expected = Int8Model(content, 1, xnnpack).logits(images)
        # 50 are no multiple of 8: the last ones are filled up.
        np.testing.assert_array_equal(Int8Model(content, 1, xnnpack, 8).logits(images), expected)
        np.testing.assert_array_equal(answers(content, images, 1, xnnpack), expected.argmax(1))


def test_a_runtime_whose_kernels_differ_is_asked_one_by_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = real_model()
    expected = Int8Model(real.content).logits(real.images).argmax(1)
    together = Int8Model._outputs
    monkeypatch.setattr(Int8Model, "_outputs", lambda model, images: together(model, images) ^ 1)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(answers(real.content, real.images, 1, True), expected)
    assert "one by one" in caplog.text


def test_there_may_be_one_image_alone() -> None:
    real = real_model()
    expected = Int8Model(real.content).logits(real.images[:1]).argmax(1)
    np.testing.assert_array_equal(answers(real.content, real.images[:1], 1, True), expected)
