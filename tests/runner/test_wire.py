"""What goes over the wire to a runner: frames that notice damage, and models packed small."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from foxnas.device.client import Runner
from foxnas.device.local import LocalTransport
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device, DeviceLost
from foxnas.int8.probe import ProbeWriter
from foxnas.runner.frames import FrameError, FrameReader, encode_frame
from foxnas.runner.packing import pack, unpack
from foxnas.space.config import read_space, shipped_spaces

# QUANTIZE, CONV_2D, CONV_2D, DEPTHWISE_CONV_2D, CONV_2D, ADD, MEAN, FULLY_CONNECTED, QUANTIZE; uint8 in and
# out, 16x16x1, written by TensorFlow 2.21's converter from an untrained Keras model.
MODEL = (Path(__file__).resolve().parents[1] / "data" / "tiny_int8.tflite").read_bytes()
QUICK = MeasurementProtocol(
    warm_up_ms=0, min_runs=30, min_time_ms=1, repeats=1, max_relative_mad=50, max_preempted=1, max_drift=50
)


def test_frames_survive_any_cutting():
    rng = np.random.default_rng(0)
    sent = [({"type": "a", "n": i, "text": "line\nbreak"}, rng.bytes(int(rng.integers(0, 300)))) for i in range(50)]
    stream = b"".join(encode_frame(header, body) for header, body in sent)
    reader, got, position = FrameReader(), [], 0
    while position < len(stream):
        step = int(rng.integers(1, 40))
        reader.feed(stream[position : position + step])
        position += step
        while frame := reader.next_frame():
            got.append(frame)
    assert [({k: v for k, v in h.items() if k != "size"}, b) for h, b in got] == sent
    assert not reader.torn


def test_a_greeting_before_the_first_frame_is_passed_over_and_kept_as_noise():
    reader = FrameReader()
    reader.feed(b"Welcome to raspberrypi\nLast login: today\n" + encode_frame({"type": "hello"}))
    assert reader.next_frame() == ({"type": "hello", "size": 0}, b"")
    assert b"Last login" in reader.noise


@pytest.mark.parametrize(
    "garbage",
    [
        b"WARNING: something printed\n",
        b'{"type": "result", "size": 0}\n',
        b'foxnas zzzzzzzz {"type": "result", "size": 0}\n',
        b'foxnas 00000000 {"type": "result", "size": -1}\n',
        b'foxnas 00000000 {"type": "result", "size": 0}\n',
        b"foxnas 00000000 []\n",
        b"\xff\xfe\x00" * (1 << 19),
    ],
)
def test_garbage_between_frames_is_an_error(garbage):
    reader = FrameReader()
    reader.feed(encode_frame({"type": "hello"}))
    reader.next_frame()
    reader.feed(garbage)
    with pytest.raises(FrameError):
        reader.next_frame()


def test_no_flipped_bit_goes_unnoticed():
    frame = encode_frame({"type": "result", "latency_ms": 1.25}, b"body")
    hello = encode_frame({"type": "hello"})
    for place in range(len(frame)):
        for bit in range(8):
            damaged = bytearray(frame)
            damaged[place] ^= 1 << bit
            reader = FrameReader()
            reader.feed(hello)
            reader.next_frame()
            reader.feed(bytes(damaged))
            try:
                got = reader.next_frame()
            except FrameError:
                continue
            # Not an error yet: a frame that waits for more (its newline or size was hit), or an equal value
            # (the case of a checksum's hexadecimal digit).
            assert got is None or got[0]["latency_ms"] == 1.25, (place, bit)


@pytest.mark.parametrize("name", [name for name in shipped_spaces() if name != "mini"])
def test_a_full_scale_probe_is_at_most_100_kilobytes_on_the_wire(name):
    space = read_space(name)
    writer, rng = ProbeWriter(space), np.random.default_rng(0)
    archs = [space.largest(224), space.smallest(224), space.draw(224, rng)]
    sent = []

    class CountingStream:
        """Sends nothing anywhere."""

        def send(self, data, timeout_s):
            sent.append(len(data))
            raise TimeoutError

        def stderr_tail(self):
            return ""

    session = Runner(Device("bench", LocalTransport()), QUICK)
    session._stream = CountingStream()
    for arch in archs:
        with pytest.raises(DeviceLost):
            session.measure(arch.id, writer.write(arch))
    assert len(writer.write(archs[0])) > {"mobilenet-v2": 3_700_000, "pi5": 4_500_000}.get(name, 4_900_000)
    assert max(sent) < 60_000


@pytest.mark.parametrize(
    ("body", "size", "message"),
    [
        (b"junk", 4, "arrived damaged"),
        (zlib.compress(b"junk"), 4, "arrived damaged"),
        (pack(b"x" * 100), 99, "not of the size"),
        (pack(b"x" * 100), 101, "not of the size"),
        (pack(bytes(1 << 20))[:-5], 1 << 20, "not of the size"),
        (zlib.compress(bytes(1 << 20)), 100, "not of the size"),
    ],
    ids=["junk", "junk inside", "longer", "shorter", "cut", "bomb"],
)
def test_a_model_that_is_not_what_was_announced_is_refused(body, size, message):
    for model in (MODEL, b"", np.random.default_rng(0).bytes(1 << 20)):
        assert unpack(pack(model), len(model)) == model
    with pytest.raises(ValueError, match=message):
        unpack(body, size)
