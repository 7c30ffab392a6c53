"""Checkpoints as people save them: wrapped, averaged, quantised, cut, or of another program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from foxnas.errors import FoxnasError
from foxnas.space.space import SearchSpace
from foxnas.supernet.checkpoint import load_supernet, save_supernet, take_checkpoint
from foxnas.supernet.model import Supernet
from foxnas.supernet.tensors import read_tensors


@pytest.fixture(scope="module")
def supernet(mini: SearchSpace) -> Supernet:
    torch.manual_seed(0)
    return Supernet(mini)


def saved(path: Path, tensors: dict[str, Tensor], kind: str) -> Path:
    if kind == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["cat", "cow", "dog"], None),
        ([], None),
        (["cat", "dog", "owl"], "class 1 is cow there and dog in the data (2 of 3 differ)"),
        (["cat", "cow"], "class 2 is dog there and none in the data (1 of 2 differ)"),
    ],
    ids=["the same", "unknown", "others", "fewer"],
)
def test_a_checkpoint_of_classes_of_other_names_is_refused(
    mini: SearchSpace, supernet: Supernet, tmp_path: Path, classes: list[str], said: str | None
) -> None:
    file, taken = tmp_path / "given.safetensors", tmp_path / "taken.safetensors"
    save_supernet(supernet, file, {}, classes='["cat", "cow", "dog"]')
    if said is None:
        take_checkpoint(mini, file, taken, classes=classes)
        assert read_tensors(taken).metadata["classes"] == '["cat", "cow", "dog"]'
        return
    with pytest.raises(FoxnasError) as refused:
        take_checkpoint(mini, file, taken, classes=classes)
    assert f"was trained for other classes: {said}; give it data of its own classes, or train" in str(refused.value)
    assert not taken.exists()


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
@pytest.mark.parametrize(
    "wrapped",
    [nn.DataParallel, torch.compile, AveragedModel, lambda net: AveragedModel(torch.compile(net)), lambda net: net],
    ids=["parallel", "compiled", "averaged", "both", "plain"],
)
def test_a_wrapped_networks_checkpoint_is_the_networks(
    mini: SearchSpace, supernet: Supernet, tmp_path: Path, wrapped: Callable[[nn.Module], nn.Module], kind: str
) -> None:
    """As PyTorch itself wraps it."""
    path = saved(tmp_path / f"c.{kind}", dict(wrapped(supernet).state_dict()), kind)
    loaded = load_supernet(mini, path).state_dict()
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


def per_channel(tensor: Tensor) -> Tensor:
    return torch.quantize_per_channel(tensor, torch.ones(len(tensor)), torch.zeros(len(tensor)), 0, torch.qint8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.to(torch.int8), r"holds whole numbers \(int8\)"),
        (lambda t: t.to(torch.int64), r"holds whole numbers \(int64\)"),
        (lambda t: t.to(torch.float8_e4m3fn), r"holds float8_e4m3fn"),
        (lambda t: t.to(torch.float8_e5m2), r"holds float8_e5m2"),
        (lambda t: t.double() * 0 + 1e300, "holds values beyond float32"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), r"is quantised \(qint8\)"),
        (per_channel, "is quantised"),
    ],
    ids=["int8", "int64", "fp8", "fp8-wide", "float64", "quantised", "quantised-channels"],
)  # fmt: skip
def test_numbers_that_are_no_weights_are_named(
    mini: SearchSpace, supernet: Supernet, tmp_path: Path, change: Callable[[Tensor], Tensor], said: str
) -> None:
    tensors = {**supernet.state_dict()}
    tensors["stem.weight"] = change(tensors["stem.weight"])
    kinds = ["pt"] if "quantised" in said else ["pt", "safetensors"]
    for kind in kinds:
        with pytest.raises(FoxnasError, match=rf"c.{kind}: stem.weight {said}"):
            load_supernet(mini, saved(tmp_path / f"c.{kind}", tensors, kind))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_read(mini: SearchSpace, supernet: Supernet, tmp_path: Path, kind: torch.dtype) -> None:
    path = saved(tmp_path / "c.pt", {name: tensor.to(kind) for name, tensor in supernet.state_dict().items()}, "pt")
    torch.testing.assert_close(load_supernet(mini, path).stem.weight, supernet.stem.weight, rtol=0.01, atol=0)


def test_weights_that_are_all_zero_are_refused(mini: SearchSpace, supernet: Supernet, tmp_path: Path) -> None:
    tensors = {
        name: torch.zeros_like(tensor) if tensor.ndim > 1 else tensor for name, tensor in supernet.state_dict().items()
    }
    with pytest.raises(FoxnasError, match="all its weights are zero"):
        load_supernet(mini, saved(tmp_path / "c.pt", tensors, "pt"))


def test_a_damaged_header_is_not_repeated(mini: SearchSpace, tmp_path: Path) -> None:
    header = json.dumps({"x" * 20_000_000: {"dtype": "NONE", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "c.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(FoxnasError, match="is a damaged safetensors file") as refusal:
        load_supernet(mini, path)
    assert len(str(refusal.value)) < 1000


def test_a_class_too_many_is_one_of_the_background(mini: SearchSpace, supernet: Supernet, tmp_path: Path) -> None:
    """Else the space is sent to 11 classes, and the images send it back to 10."""
    tensors = {**supernet.state_dict()}
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = torch.cat([tensors[name], tensors[name][:1]])
    with pytest.raises(FoxnasError, match=r"one of the background.* leave that row of classifier"):
        load_supernet(mini, saved(tmp_path / "c.pt", tensors, "pt"))
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = torch.cat([tensors[name], tensors[name]])
    with pytest.raises(FoxnasError, match=r"trained for 22 classes; set space\.classes"):
        load_supernet(mini, saved(tmp_path / "c.pt", tensors, "pt"))


def test_once_for_alls_other_networks_are_named(mini: SearchSpace, tmp_path: Path) -> None:
    """Tensors as `ofa.imagenet_classification.elastic_nn.networks.OFAProxylessNASNets` names them."""
    names = ("first_conv.conv", "blocks.0.mobile_inverted_conv.depth_conv.conv", "feature_mix_layer.conv",
             "blocks.1.mobile_inverted_conv.inverted_bottleneck.conv.conv", "classifier.linear")  # fmt: skip
    tensors = {f"{name}.weight": torch.ones(4, 4, 1, 1) for name in names}
    with pytest.raises(FoxnasError, match="ProxylessNAS"):
        load_supernet(mini, saved(tmp_path / "c.pt", tensors, "pt"))
