"""The processes that train one supernet together, one per GPU, as torchrun starts them.

Every process holds all weights and draws the same subnet, image size and batch; each computes its share of the
batch's parts, and the gradients are added up over all. A subnet leaves most parameters without a gradient, and the
same ones in every process, so only what has one is sent; DistributedDataParallel would search the graph for unused
parameters at every step.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist

from foxnas.errors import FoxnasError


@dataclass(frozen=True)
class Processes:
    """This process among all that train: `rank` of `count`, and the device it computes on."""

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    def share(self, parts: int) -> range:
        """Return which parts of a batch this process computes.

        Raises FoxnasError when the processes cannot have equally many.
        """
        if parts % self.count:
            raise FoxnasError(
                f"supernet.training.batch_parts is {parts}, which {self.count} processes cannot share equally; "
                f"make it a multiple of {self.count}"
            )
        each = parts // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by its sum over all processes, in one message."""
        if self.count == 1:
            return
        message = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(message)
        for tensor, part in zip(tensors, message.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def told(self, decide: Callable[[], bool]) -> bool:
        """Return what the first process decides; the others wait for it."""
        if self.count == 1:
            return decide()
        answer = torch.tensor([float(self.first and decide())], device=self.device)
        dist.broadcast(answer, 0)
        return bool(answer.item())

    def agree(self, module: nn.Module) -> None:
        """Give every process the first one's weights."""
        if self.count > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)


@contextlib.contextmanager
def join_processes(gpus: int) -> Iterator[Processes]:
    """Join the processes that torchrun started, or be the only one where it did not.

    Parameters
    ----------
    gpus
        GPUs of this machine that train; 0: its processors.

    Raises
    ------
    FoxnasError
        There are fewer GPUs, or not one process for each.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if gpus:
        found = torch.cuda.device_count()
        if found < gpus:
            raise FoxnasError(
                f"supernet.gpus is {gpus}, but this machine has {found} that PyTorch can use; lower it (0: "
                "train on the processors), or look at nvidia-smi and CUDA_VISIBLE_DEVICES"
            )
        if count != gpus:
            raise FoxnasError(f"{gpus} GPUs need {gpus} processes, there are {count}: torchrun --nproc-per-node {gpus}")
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if count == 1:
        yield Processes(device=device)
        return
    dist.init_process_group("nccl" if gpus else "gloo")
    try:
        yield Processes(rank, count, device)
    finally:
        dist.destroy_process_group()
