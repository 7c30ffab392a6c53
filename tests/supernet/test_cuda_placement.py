"""What a GPU computes with lies on the GPU: with PyTorch's fake tensors, which have a device and no values.

An operator that meets tensors of two devices raises here as it does there.
"""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from foxnas.accuracy.preparation import recalibrate
from foxnas.images.pixels import layout
from foxnas.space.config import read_space, shipped_spaces
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet


@pytest.mark.parametrize("name", shipped_spaces())
def test_a_loss_and_an_evaluation_stay_on_the_gpu(name: str) -> None:
    space = read_space(name)
    size = space.image_sizes[0]
    arch = space.largest(size)
    with FakeTensorMode():
        with torch.device("cuda"):
            supernet = Supernet(space)
            images, labels = torch.rand(4, space.image_channels, size, size), torch.zeros(4, dtype=torch.long)
        assert F.cross_entropy(supernet(images, arch), labels).device.type == "cuda"
        subnet = recalibrate(Subnet(supernet, arch), [images, images])
        tensors = [*subnet.parameters(), *subnet.buffers()]
        assert {tensor.device.type for tensor in tensors if tensor.ndim} == {"cuda"}
        with torch.inference_mode():
            # Unfolded: folding copies modules, which fake tensors cannot be copied with.
            logits = subnet(images)
        # Channels first, for which a depthwise convolution needs no plan of cuDNN's for every new shape; a dimension of
        # one, as a depthwise weight's second, has strides of both orders.
        maps = [images.to(memory_format=layout(images.device)), *(tensor for tensor in tensors if tensor.ndim == 4)]
        assert [tensor.stride() for tensor in maps] == [tensor.contiguous().stride() for tensor in maps]
    assert (logits.device.type, tuple(logits.shape)) == ("cuda", (4, space.classes))


def test_the_fake_gpu_would_notice() -> None:
    with FakeTensorMode(), pytest.raises(Exception, match="same device"):
        torch.rand(2, device="cuda") + torch.rand(2)
