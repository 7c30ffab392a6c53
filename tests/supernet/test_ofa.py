"""Once-for-All's supernets, against the networks of the package `ofa` itself."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from functools import cache
from itertools import cycle, islice, product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from safetensors.torch import save_file
from torch import Tensor, nn

from foxnas.accuracy.evaluation import evaluate
from foxnas.errors import FoxnasError
from foxnas.images.pixels import to_input
from foxnas.int8.config import Exporter
from foxnas.int8.export import export_int8
from foxnas.int8.probe import ProbeWriter
from foxnas.int8.reading import read_summary
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.layers import IMAGENET_MEAN, IMAGENET_STD
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet, take_checkpoint
from foxnas.supernet.elastic import ElasticBatchNorm
from foxnas.supernet.model import Supernet
from foxnas.supernet.ofa import to_ofa
from foxnas.supernet.subnet import Subnet
from tests.support.exports import export_float
from tests.support.noise import layer_noise
from tests.support.prepared import prepare_subnet

W10, W12 = "ofa_mbv3_d234_e346_k357_w1.0", "ofa_mbv3_d234_e346_k357_w1.2"


def reference(width: str) -> OFAMobileNetV3:
    """Their supernet with random weights, transforms and statistics, always the same."""
    return copy.deepcopy(_reference(width))


@cache
def _reference(width: str) -> OFAMobileNetV3:
    knobs = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
    net = OFAMobileNetV3(dropout_rate=0.1, width_mult=float(width[-3:]), **knobs)
    shake(net)
    return net.eval()


def shake(net: nn.Module) -> None:
    """Move all that has a neutral initial value away from it."""
    torch.manual_seed(1)
    for name, tensor in net.state_dict().items():
        if name.endswith("running_var"):
            nn.init.uniform_(tensor, 0.5, 1.5)
        elif name.endswith("running_mean") or (name.endswith("bias") and tensor.ndim == 1):
            nn.init.normal_(tensor, 0, 0.2)
        elif name.endswith("_matrix") or ".steps." in name:
            tensor += 0.1 * torch.randn_like(tensor)
        elif tensor.ndim == 1 and name.endswith("weight"):
            nn.init.uniform_(tensor, 0.5, 1.5)


def their_logits(net: OFAMobileNetV3, arch: Arch, images: Tensor) -> Tensor:
    """Logits of their own extracted subnet; their blocks are numbered through all units, absent layers included."""
    padded = [(*unit, *[unit[-1]] * (4 - len(unit))) for unit in arch.units]
    kernels, ratios = zip(*[layer for unit in padded for layer in unit], strict=True)
    net.set_active_subnet(ks=list(kernels), e=list(ratios), d=list(arch.depths))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        return net.get_active_subnet().eval()((images - mean) / std)


def our_logits(supernet: Supernet, arch: Arch, images: Tensor) -> Tensor:
    with torch.no_grad():
        return Subnet(supernet, arch).eval()(images)


def subnets(space: SearchSpace) -> list[Arch]:
    """Every layer with every kernel size and ratio, beside other ones; and other depths. At all image sizes."""
    layers, sizes = list(product(space.kernel_sizes, space.expansion_ratios)), cycle(space.image_sizes)
    turns = [cycle(layers[i:] + layers[:i]) for i in range(len(layers))]
    every = [Arch(next(sizes), tuple(tuple(islice(turn, 4)) for _ in space.units)) for turn in turns]
    rng = np.random.default_rng(0)
    return [*every, space.largest(160), space.smallest(132), space.draw(100, rng), space.draw(64, rng)]


def assert_same_function(space: SearchSpace, supernet: Supernet, net: OFAMobileNetV3) -> None:
    torch.manual_seed(0)
    for arch in subnets(space):
        images = torch.rand(2, 3, arch.image_size, arch.image_size)
        theirs, ours = their_logits(net, arch, images), our_logits(supernet, arch, images)
        assert theirs.std() > 0.01, "logits must differ for this to mean something"
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4, msg=lambda text, a=arch: f"{a.text}: {text}")


@pytest.fixture(scope="module")
def small() -> SearchSpace:
    """Their space at small image sizes, one of them not divisible by the strides."""
    return replace(read_space(W10), image_sizes=(32, 64, 100, 132, 160))


@pytest.mark.parametrize("width", [W10, W12])
def test_their_checkpoint_is_our_supernet(small: SearchSpace, tmp_path: Path, width: str) -> None:
    space = replace(read_space(width), image_sizes=small.image_sizes)
    net, path = reference(width), tmp_path / "ofa"
    # As published: under state_dict, with the names of the release that wrote it.
    state = {name.replace(".conv.", ".mobile_inverted_conv.", 1) if name.startswith("blocks.") else name: tensor
             for name, tensor in net.state_dict().items()}  # fmt: skip
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=width == W10)  # and both file formats
    supernet = load_supernet(space, path)
    assert_same_function(space, supernet, net)
    exported, theirs = to_ofa(supernet), net.state_dict()
    assert exported.keys() == theirs.keys()
    assert all(torch.equal(exported[name], theirs[name]) for name in theirs)


def test_every_spelling_that_their_package_reads_is_read(small: SearchSpace, tmp_path: Path) -> None:
    state, path = reference(W10).state_dict(), tmp_path / "ofa"
    torch.save(state, path)
    plain = load_supernet(small, path).state_dict()
    for ours, other in (
        (".conv.", ".mobile_inverted_conv."),
        (".bn.bn.", ".bn."),
        (".conv.conv.weight", ".conv.weight"),
        ("first_conv.bn.", "first_conv.bn.bn."),
        ("final_expand_layer.conv.weight", "final_expand_layer.conv.conv.weight"),
        ("classifier.linear.", "classifier.linear.linear."),
        ("", "module."),
    ):
        spelt = {name.replace(ours, other, 1): tensor for name, tensor in state.items()}
        assert spelt.keys() != state.keys()
        if other != "module.":  # which torch's DataParallel writes, and their package does not take off
            reference(W10).load_state_dict(spelt)
        torch.save({"state_dict": spelt}, path)
        loaded = load_supernet(small, path).state_dict()
        assert all(torch.equal(loaded[name], plain[name]) for name in plain), other


@pytest.mark.parametrize("width", [W10, W12])
def test_our_supernet_is_their_checkpoint(small: SearchSpace, width: str) -> None:
    space = replace(read_space(width), image_sizes=small.image_sizes)
    torch.manual_seed(2)
    supernet = Supernet(space, statistics=True)
    shake(supernet)
    for parameter in supernet.parameters():
        if parameter.ndim == 4:
            parameter.data *= 0.4  # untrained, activations grow with depth until float32 rounds at the 4th digit
    net = reference(width)
    net.load_state_dict(to_ofa(supernet))
    assert_same_function(space, supernet, net.eval())


def test_statistics_are_optional(small: SearchSpace) -> None:
    exported = to_ofa(Supernet(small))
    assert exported.keys() == reference(W10).state_dict().keys()
    assert set(exported["first_conv.bn.running_var"].tolist()) == {1.0}


def test_taking_their_checkpoint_converts_it_and_ours_is_copied(small: SearchSpace, tmp_path: Path) -> None:
    net = reference(W10)
    theirs, ours, again = (tmp_path / name for name in ("theirs.safetensors", "ours.safetensors", "again.safetensors"))
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, theirs)
    take_checkpoint(small, theirs, ours)
    take_checkpoint(small, ours, again)
    assert again.read_bytes() == ours.read_bytes()
    arch = small.smallest(64)
    images = torch.rand(2, 3, 64, 64)
    supernet = load_supernet(small, again)
    torch.testing.assert_close(
        our_logits(supernet, arch, images), their_logits(net, arch, images), rtol=1e-4, atol=1e-4
    )
    assert all(m.running_mean is not None for m in supernet.modules() if isinstance(m, ElasticBatchNorm))


def test_the_whole_chain_runs_from_their_checkpoint(small: SearchSpace, tmp_path: Path) -> None:
    given, taken = tmp_path / "ofa", tmp_path / "supernet.safetensors"
    torch.save({"state_dict": reference(W10).state_dict()}, given)
    take_checkpoint(small, given, taken)
    # Maps of 100, 50, 25, 13 and 7 pixels: where stride 2 meets an even size, symmetric padding needs a PAD.
    arch = small.smallest(100)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 100, 100, 3), dtype=np.uint8)
    labels = np.arange(24) % 1000
    subnet = prepare_subnet(load_supernet(small, taken), arch, to_input(pixels), 24)
    assert evaluate(subnet, pixels, labels, 24).correct.shape == (24,)

    for exporter in get_args(Exporter):
        int8 = export_int8(subnet, pixels, exporter=exporter)
        summary = read_summary(int8)
        assert summary == read_summary(ProbeWriter(small).write(arch))
        pads = [operator for operator in summary.operators if operator.name == "PAD"]
        assert [summary.tensors[pad.inputs[0]].shape[1] for pad in pads] == [100, 50]
        assert min(layer.own_db for layer in layer_noise(subnet, int8, pixels[:2])) > 15
    run = Interpreter(model_content=export_float(subnet), num_threads=1).get_signature_runner()
    with torch.no_grad():
        expected = subnet(to_input(pixels[:4])).numpy()
    found = [run(image=image[None].astype(np.float32) / 255)["logits"][0] for image in pixels[:4]]
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"padding": "same"}, "its padding is same instead of symmetric"),
        ({"mix_width": 0}, "its mix_width is 0"),
        ({"kernel_transforms": False}, "its kernel_transforms is False"),
    ],
)
def test_a_space_of_another_meaning_is_refused(small: SearchSpace, change: dict[str, object], message: str) -> None:
    with pytest.raises(FoxnasError, match=f"{message}.*declare it with base: {W10}"):
        to_ofa(Supernet(replace(small, **change)))  # type: ignore[arg-type]


def test_checkpoints_that_do_not_fit_are_named_with_the_cause(small: SearchSpace, tmp_path: Path) -> None:
    path = tmp_path / "ofa"
    state = reference(W10).state_dict()

    def refused(space: SearchSpace, tensors: object, message: str) -> None:
        torch.save(tensors, path)
        with pytest.raises(FoxnasError, match=message):
            load_supernet(space, path)

    refused(read_space(W12), state, r"first_conv.conv.weight has shape \(16, .* and \d+ more.*of another width")
    refused(replace(small, classes=10), state, r"classifier.linear.weight has shape \(1000.*trained for 1000 classes")
    refused(replace(small, depths=(2, 3, 4, 5)), state, "is missing.*largest depth; it has 20 layers, not 25")
    refused(replace(small, kernel_sizes=(3, 5, 7, 9)), state, "9to7_matrix is missing.*kernel_transforms or")
    fewer = {name: tensor for name, tensor in state.items() if ".se." not in name}
    refused(small, fewer, r"blocks.5.conv.depth_conv.se.fc.reduce.weight is missing; .*unit types")
    refused(small, {**state, "extra.weight": torch.ones(1)}, "extra.weight is not of this space.*of another")
    refused(small, {"features.0.weight": torch.ones(1)}, "Likely cause: a checkpoint of another program")
    refused(small, {"epoch": 3}, "holds no state dict")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FoxnasError, match=r"is damaged, or of another kind|is neither"):
        load_supernet(small, path)
    path.write_bytes((10**6).to_bytes(8, "little") + b"{")
    with pytest.raises(FoxnasError, match="is a damaged safetensors file"):
        load_supernet(small, path)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.target, "boom")


def test_pickled_code_is_refused_and_not_run(small: SearchSpace, tmp_path: Path) -> None:
    target, path = tmp_path / "boom", tmp_path / "ofa"
    torch.save({"state_dict": reference(W10).state_dict(), "extra": Bomb(target)}, path)
    with pytest.raises(FoxnasError, match=r"holds pickled code .*; where you trust the file"):
        load_supernet(small, path)
    path.write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(FoxnasError, match=r"pickled code|is neither"):
        load_supernet(small, path)
    assert not target.exists()
