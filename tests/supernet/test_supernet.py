"""Supernet and subnets: one network, one meaning."""

from __future__ import annotations

import contextlib
import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from foxnas.accuracy.evaluation import evaluate, fold_means
from foxnas.accuracy.preparation import Preparation, recalibrate
from foxnas.errors import FoxnasError
from foxnas.files.arrays import ArraysBySize
from foxnas.images.pixels import to_input
from foxnas.space.config import read_space
from foxnas.space.layers import pads
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet, save_supernet
from foxnas.supernet.elastic import ElasticBatchNorm, ElasticDepthwise
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet
from tests.support.kinds import KINDS
from tests.support.prepared import prepare_subnet


@pytest.fixture(scope="module")
def transforming(mini: SearchSpace) -> SearchSpace:
    """The mini space with Once-for-All's kernel transforms."""
    return replace(mini, kernel_transforms=True)


def shaken(space: SearchSpace) -> Supernet:
    """Random weights, every gain and bias of batch norm moved from its initial value."""
    torch.manual_seed(0)
    network = Supernet(space)
    for module in network.modules():
        if isinstance(module, ElasticBatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
        if isinstance(module, ElasticDepthwise):
            for step in module.steps.values():
                step.data += 0.05 * torch.randn_like(step)
    return network


@pytest.fixture(scope="module")
def supernet(transforming: SearchSpace) -> Supernet:
    return shaken(transforming)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 20, 20, 1), dtype=np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_the_static_subnet_is_the_dynamic_forward(mini: SearchSpace, supernet: Supernet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arch = mini.draw(int(rng.choice(mini.image_sizes)), rng)
    x = torch.rand(16, 1, arch.image_size, arch.image_size, dtype=torch.float64)
    exact = copy.deepcopy(supernet).double()  # so that a difference is one of meaning, not of rounding
    with torch.no_grad():
        dynamic, static = exact(x, arch), Subnet(exact, arch).double().train()(x)
    torch.testing.assert_close(static, dynamic, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("space", "size"), KINDS, ids=lambda value: getattr(value, "name", value))
def test_every_kind_of_block_means_the_same_dynamic_static_and_folded(space: SearchSpace, size: int) -> None:
    rng = np.random.default_rng(size)
    supernet = shaken(space).double()
    x = torch.rand(16, space.image_channels, size, size, dtype=torch.float64)
    for arch in (space.largest(size), space.smallest(size), *(space.draw(size, rng) for _ in range(4))):
        subnet = Subnet(supernet, arch).double().train()
        with torch.no_grad():
            dynamic, static = supernet(x, arch), subnet(x)
            torch.testing.assert_close(static, dynamic, rtol=1e-5, atol=1e-5)
            unfolded = subnet.eval()(x)
            torch.testing.assert_close(subnet.fold()(x), unfolded, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_folding_changes_nothing_and_recalibration_is_the_batch_statistics(
    mini: SearchSpace, supernet: Supernet, images: np.ndarray, seed: int
) -> None:
    arch = mini.draw(20, np.random.default_rng(seed))
    x = to_input(images)
    with torch.no_grad():
        subnet = recalibrate(Subnet(supernet, arch), [x])
        unfolded = subnet(x)
        folded = subnet.fold()(x)
        dynamic = supernet(x, arch)
    assert not [m for m in subnet.modules() if isinstance(m, nn.BatchNorm2d)]
    torch.testing.assert_close(folded, unfolded, rtol=1e-4, atol=1e-4)
    # With one calibration batch the recalibrated network is the supernet on that batch, but for the
    # running variance's n - 1.
    torch.testing.assert_close(folded, dynamic, rtol=0.02, atol=0.05)


def test_recalibration_is_the_mean_over_batches(mini: SearchSpace, supernet: Supernet, images: np.ndarray) -> None:
    arch = mini.largest(20)
    subnet = recalibrate(Subnet(supernet, arch), to_input(images).split(16))
    with torch.no_grad():
        maps = nn.functional.conv2d(nn.functional.pad(to_input(images), (0, 1, 0, 1)), supernet.stem.weight, stride=2)
    means = torch.stack([part.mean((0, 2, 3)) for part in maps.split(16)]).mean(0)
    torch.testing.assert_close(subnet.stem.norm.running_mean, means, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "kernel", "stride"), [(28, 3, 2), (7, 3, 2), (8, 7, 2), (14, 5, 1), (1, 7, 1)])
def test_padding_is_tensorflows_same(size: int, kernel: int, stride: int) -> None:
    """TensorFlow's definition: the output has ceil(size / stride) places; an odd row goes after the image."""
    before, after = pads("same", size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride)
    assert after - before in (0, 1)


@pytest.mark.parametrize("size", range(1, 18))
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_symmetric_padding_is_pytorchs_without_what_no_stride_reaches(size: int, kernel: int) -> None:
    for stride in (1, 2):
        before, after = pads("symmetric", size, kernel, stride)
        assert before == kernel // 2 >= after
        x, weight = torch.randn(1, 1, size, size), torch.randn(1, 1, kernel, kernel)
        ours = nn.functional.conv2d(nn.functional.pad(x, (before, after, before, after)), weight, stride=stride)
        torch.testing.assert_close(ours, nn.functional.conv2d(x, weight, stride=stride, padding=kernel // 2))


def test_smaller_kernels_are_transformed_centres() -> None:
    depthwise = ElasticDepthwise(4, (3, 5, 7), transforms=True)
    weight = depthwise.weight
    torch.testing.assert_close(depthwise.slice(5, 3), weight[:3, :, 1:6, 1:6])
    torch.testing.assert_close(depthwise.slice(3, 2), weight[:2, :, 2:5, 2:5])
    depthwise.steps["3"].data = 2 * torch.eye(9)
    torch.testing.assert_close(depthwise.slice(3, 4), 2 * weight[:, :, 2:5, 2:5])
    torch.testing.assert_close(depthwise.slice(7, 4), weight)
    plain = ElasticDepthwise(4, (3, 5, 7), transforms=False)
    torch.testing.assert_close(plain.slice(3, 2), plain.weight[:2, :, 2:5, 2:5])
    assert len(list(plain.parameters())) == 1


def test_evaluation_counts_what_the_network_gets_right(images: np.ndarray) -> None:
    class Fake(nn.Module):  # stands in for a network: its logits are known
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot((x[:, 0, 0, 0] * 255).round().long() % 10, 10) * 50.0

    truth = images[:, 0, 0, 0].astype(np.int64) % 10
    truth[::4] = (truth[::4] + 1) % 10
    result = evaluate(Fake(), images, truth, 10)
    assert result.top1_percent == 75
    assert result.mean_probability_percent == pytest.approx(75)
    assert not result.correct[::4].any()
    assert fold_means(result.correct_probability).mean() == pytest.approx(0.75, abs=0.01)


def test_a_checkpoint_comes_back_bit_for_bit(
    transforming: SearchSpace, supernet: Supernet, images: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "supernet.safetensors"
    save_supernet(supernet, path, {"seed": 0})
    arch, x = transforming.smallest(20), to_input(images)
    one = prepare_subnet(load_supernet(transforming, path), arch, x, 64)
    other = prepare_subnet(supernet.to(memory_format=torch.channels_last), arch, x, 64)
    with torch.no_grad():
        assert torch.equal(one(x), other(x))


def test_the_shipped_checkpoint_computes_what_it_did_when_it_was_made() -> None:
    space = read_space("mini")
    supernet = load_supernet(space, Path(__file__).resolve().parents[2] / "models" / "mini-fashion-mnist.safetensors")
    y, x = np.mgrid[:28, :28] / 28
    pixels = np.stack([np.abs(np.sin(3 * y + i * x)) * x for i in range(8)])[:, None]
    arch = space.parse("r28_k3e2.k7e6_k5e4.k3e2.k7e3_k3e6.k5e3_k7e2.k3e4.k5e6.k3e2_k5e3.k3e4")
    with torch.no_grad():
        logits = supernet(torch.tensor(pixels, dtype=torch.float32), arch)[0]
    # Computed by the first release, before there were paddings and activations to choose from.
    expected = torch.tensor([2.3745, -3.4657, 3.3993, -1.4870, -0.2380, -5.6692, 4.6476, -6.2938, 2.0267, -7.3100])
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


def test_foreign_checkpoints_are_refused_by_name(transforming: SearchSpace, supernet: Supernet, tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    save_supernet(supernet, path, {})
    with pytest.raises(
        FoxnasError, match="belongs to another space: its head_width is 32, the config's space mini has 48"
    ):
        load_supernet(replace(transforming, head_width=48), path)
    load_supernet(replace(transforming, name="other", image_sizes=(20,)), path)  # weights do not depend on these

    weights = {k: v.contiguous() for k, v in supernet.state_dict().items()}
    del weights["stem.weight"]
    weights["extra"] = torch.zeros(1)
    weights["head.weight"] = torch.zeros(3, 3)
    save_file(weights, path)
    with pytest.raises(
        FoxnasError, match=r"stem.weight is missing; extra is not of this space; head.weight has shape \(3, 3\)"
    ):
        load_supernet(transforming, path)

    path.write_bytes(b"PK something else")
    with pytest.raises(FoxnasError, match=r"is neither a safetensors file|is damaged, or of another"):
        load_supernet(transforming, path)
    with pytest.raises(FoxnasError, match=r"does not exist; set supernet.checkpoint"):
        load_supernet(transforming, tmp_path / "none")


def test_a_prepared_subnet_is_the_one_its_images_make(mini: SearchSpace, tmp_path: Path) -> None:
    """Sizes may come in any order; the first so many images of a subnet's own size count."""
    rng = np.random.default_rng(0)
    supernet = Supernet(mini)
    paths = []
    for size in (16, 20):
        paths.append(tmp_path / str(size) / "calibration-images.npy")
        paths[-1].parent.mkdir()
        np.save(paths[-1], rng.integers(0, 256, (12, size, size, 1), dtype=np.uint8))
    preparation = Preparation(supernet, ArraysBySize(paths), 8, 4)
    for size, path in ((16, paths[0]), (16, paths[0]), (20, paths[1]), (16, paths[0])):
        arch = next(mini.sample(size, rng))
        x = to_input(np.load(path)[:8])
        expected = prepare_subnet(supernet, arch, x, 4)
        assert torch.equal(preparation.subnet(arch)(x), expected(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem.weight": torch.tensor(1.0)}, r"stem.weight has shape \(\) instead of \(4, 1, 3, 3\)"),
        ({"classifier.bias": torch.tensor(1.0)}, r"classifier.bias has shape \(\) instead of \(10,\)"),
        ({7: torch.zeros(1)}, r"its names are not all text: 7"),
        ({"stem.weight": torch.full((4, 1, 3, 3), torch.nan)}, r"stem.weight holds values that are no numbers"),
        ({"stem.weight": torch.zeros(4, 1, 3, 3).to_sparse()}, r"stem.weight is no dense tensor of real numbers"),
        ({"stem.weight": torch.zeros(4, 1, 3, 3, device="meta")}, r"stem.weight is no dense tensor of real numbers"),
        ({"stem.weight": torch.zeros(4, 1, 3, 3, dtype=torch.cfloat)}, r"stem.weight is no dense tensor of real num"),
        ({"stem.weight": torch.zeros(4, 1, 3, 3, dtype=torch.bool)}, r"stem.weight is no dense tensor of real num"),
    ],
)
def test_tensors_that_are_no_weights_are_named(
    mini: SearchSpace, tmp_path: Path, change: dict[object, torch.Tensor], message: str
) -> None:
    path = tmp_path / "given.pth"
    torch.save({**Supernet(mini).state_dict(), **change}, path)
    with pytest.raises(FoxnasError, match=rf"checkpoint {path}.*{message}"):
        load_supernet(mini, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<html>404 Not Found</html>", "begins with '<html>404 Not Found</html>'; was its download whole?"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "begins with 'version https://git-lfs.github.com/sp"),
        (b"\x93NUMPY\x01\x00v\x00{", "is no checkpoint"),
        (b"PK\x03\x04 cut", "is damaged, or of another kind"),
        (b"\x80\x02}q\x00.", "is damaged, or of another kind"),
    ],
)
def test_files_that_are_no_checkpoints_are_not_taken_for_pickled_code(
    mini: SearchSpace, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "given").write_bytes(content)
    with pytest.raises(FoxnasError, match=re.escape(message)):
        load_supernet(mini, tmp_path / "given")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_checkpoint_never_ends_in_a_traceback(mini: SearchSpace, tmp_path: Path, zipped: bool) -> None:
    path, rng = tmp_path / "given.pth", np.random.default_rng(0)
    torch.save(Supernet(mini).state_dict(), path, _use_new_zipfile_serialization=zipped)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(150):
        damaged = whole.copy()
        damaged[rng.integers(0, 4000, 10)] = rng.integers(0, 256, 10)
        path.write_bytes(damaged[: rng.integers(1, len(whole))] if rng.random() < 0.2 else damaged)
        # Changed weights load; what holds them together must not be trusted.
        with contextlib.suppress(FoxnasError):
            load_supernet(mini, path)


@pytest.mark.parametrize("described", ["not JSON", "[1]", "{}", '{"units": 3}', "[" * 100_000])
def test_a_description_of_no_space_is_named_by_its_file(mini: SearchSpace, tmp_path: Path, described: str) -> None:
    path = tmp_path / "given.safetensors"
    save_file({k: v.contiguous() for k, v in Supernet(mini).state_dict().items()}, path, {"space": described})
    with pytest.raises(FoxnasError, match=rf"checkpoint {path}: .*no description of a space"):
        load_supernet(mini, path)
