"""Images answered by the device: the serving runtime's own answers, each asked for once."""

import dataclasses
import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from foxnas.device.answers import predict_images
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device, DeviceLost
from foxnas.errors import FoxnasError
from foxnas.int8.serving import Int8Model
from tests.support.int8_model import RealModel, real_model

PLAIN = MeasurementProtocol(xnnpack=False)


@pytest.fixture(scope="module")
def real() -> RealModel:
    return real_model()


@pytest.fixture
def here(own_lock: str) -> Device:
    return Device("here", LocalTransport(), lock=own_lock)


@dataclass(frozen=True)
class CountedTransport:
    """Starts real runners, counts the images sent to them, and kills the runner after some frames."""

    frames_until_death: float = np.inf
    sent: list[int] = field(default_factory=list)
    host: str = "this machine, counted"

    def close(self):
        pass

    def start(self):
        stream = LocalTransport().start()
        original, frames = stream.send, [0]

        def send(data, timeout_s):
            frames[0] += b'"type": "predict"' in data[:200]
            if frames[0] > self.frames_until_death:
                stream._process.kill()
                stream._process.wait()
            self.sent.append(len(data))
            original(data, timeout_s)

        stream.send = send
        return stream


@pytest.mark.parametrize("xnnpack", [True, False])
def test_device_answers_what_the_serving_runtime_computes(real, here, tmp_path, xnnpack):
    protocol = dataclasses.replace(PLAIN, xnnpack=xnnpack)
    got = predict_images(here, protocol, real.content, real.images, tmp_path / "journal")
    expected = Int8Model(real.content, xnnpack=xnnpack).logits(real.images).argmax(axis=1)
    assert np.array_equal(got.classes, expected)
    assert len(set(expected)) > 2  # a model that always says the same would prove nothing
    assert got.identity["runtime"] == "ai_edge_litert"
    assert got.top1_percent(expected) == 100


def test_an_interrupted_evaluation_asks_only_for_what_is_missing(real, here, tmp_path):
    journal = tmp_path / "journal"
    dying, counted = CountedTransport(frames_until_death=3), CountedTransport()
    with pytest.raises(DeviceLost, match=r"is kept in .*journal"):
        predict_images(dataclasses.replace(here, transport=dying), PLAIN, real.content, real.images, journal)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    kept = sum(len(line["classes"]) for line in lines)
    assert len(lines) == 3
    assert 0 < kept < len(real.images)
    device = dataclasses.replace(here, transport=counted)
    got = predict_images(device, PLAIN, real.content, real.images, journal)
    assert np.array_equal(got.classes, Int8Model(real.content, xnnpack=False).logits(real.images).argmax(axis=1))
    resumed = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sorted(i for line in resumed for i in range(line["first"], line["first"] + len(line["classes"]))) == list(
        range(len(real.images))
    )
    before = len(counted.sent)
    again = predict_images(device, PLAIN, real.content, real.images, journal)
    assert np.array_equal(again.classes, got.classes)
    assert len(counted.sent) - before == 3  # hello, open, bye


def test_a_gap_in_the_journal_is_filled(real, here, tmp_path):
    journal = tmp_path / "journal"
    whole = predict_images(here, PLAIN, real.content, real.images, journal)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:1] + lines[2:3]))
    assert np.array_equal(predict_images(here, PLAIN, real.content, real.images, journal).classes, whole.classes)


def test_answers_of_another_model_delegate_or_other_images_are_not_reused(real, here, tmp_path):
    journal = tmp_path / "journal"
    predict_images(here, PLAIN, real.content, real.images[:8], journal)
    other = real_model(seed=1)
    lit = dataclasses.replace(PLAIN, xnnpack=True)
    for protocol, content, images in (
        (PLAIN, other.content, real.images[:8]),
        (PLAIN, real.content, real.images[8:16]),
        (lit, real.content, real.images[:8]),
    ):
        lines = len(journal.read_text().splitlines())
        predict_images(here, protocol, content, images, journal)
        assert len(journal.read_text().splitlines()) > lines
    lines = len(journal.read_text().splitlines())
    for _ in range(2):  # nor those of a plug-in's code that has changed
        predict_images(here, PLAIN, real.content, real.images[:8], journal, code="edited")
    assert lines < len(journal.read_text().splitlines()) <= lines + 8


def test_what_does_not_fit_is_one_sentence(real, here, tmp_path):
    with pytest.raises(FoxnasError, match=r"device here .*the model cannot be run"):
        predict_images(here, PLAIN, real.content[:5000], real.images, tmp_path / "journal")
    with pytest.raises(FoxnasError, match=r"images are uint8 \(15, 16, 1\), the model reads uint8 \(16, 16, 1\)"):
        predict_images(here, PLAIN, real.content, real.images[:, 1:], tmp_path / "journal")
