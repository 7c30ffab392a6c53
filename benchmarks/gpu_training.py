"""What training does on the device: speed, whether the loss falls, memory, and whether a killed one continues alike.

`train` runs in processes of its own, several trainings one after the other; `section` starts them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import distributed as dist

from benchmarks.gpu_settings import Scale, space_of
from foxnas.supernet.model import Supernet
from foxnas.supernet.training import training
from foxnas.supernet.training.processes import Processes, join_processes
from foxnas.supernet.training.recipe import Phase, Precision, Recipe

#: Steps of which the loss is averaged, at the beginning and at the end.
_LOOKED_AT = 5


@dataclass(frozen=True)
class Job:
    """One training: what of, how long, and where it is cut; `state` is the file it continues from."""

    name: str
    space: str
    size: int | None
    precision: Precision
    batch: int
    epochs: tuple[int, ...]
    steps_per_epoch: int
    device: str
    state: str | None = None
    kill_at_step: int | None = None

    def recipe(self) -> Recipe:
        """Return two phases over all choices of the space, the second distilling from the first."""
        space = space_of(self.space, self.size)
        choices = (space.kernel_sizes, space.expansion_ratios, space.depths)
        rates = (0.002, 0.001)
        phases = tuple(Phase(count, rate, *choices) for count, rate in zip(self.epochs, rates, strict=False))
        return Recipe(batch_size=self.batch, distillation=0.5, precision=self.precision, phases=phases)


@dataclass
class Record:
    """Losses and times of the steps, as they end; kills its own process before a given step."""

    kill_at_step: int | None
    losses: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)

    def around(self, step: Callable[..., float]) -> Callable[..., float]:
        """Return the step, watched."""

        def watched(*arguments: Any) -> float:
            if len(self.losses) == self.kill_at_step:
                os.kill(os.getpid(), signal.SIGKILL)
            self.losses.append(step(*arguments))  # which waits for the loss
            self.ended_s.append(time.perf_counter())
            return self.losses[-1]

        return watched

    def beginning_after(self, foresee: Callable[..., Any]) -> Callable[..., Any]:
        """Return the look ahead, whose steps are none of the training's."""

        def unwatched(*arguments: Any) -> Any:
            found = foresee(*arguments)
            self.losses.clear()
            self.ended_s.clear()
            return found

        return unwatched


def learnable_images(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with a pattern for each of ten classes, so that there is something to learn."""
    space, rng = space_of(job.space, job.size), np.random.default_rng(0)
    count, size = job.batch * job.steps_per_epoch, max(space.image_sizes)
    labels = rng.integers(0, 10, count)
    patterns = rng.integers(0, 128, (10, 4, 4, space.image_channels)).repeat(size // 4 + 1, 1).repeat(size // 4 + 1, 2)
    noise = rng.integers(0, 128, (count, size, size, space.image_channels), dtype=np.uint8)
    return noise + patterns[:, :size, :size].astype(np.uint8)[labels], labels


def digest_of(supernet: Supernet) -> str:
    """Return a digest of all weights, bit for bit."""
    found = hashlib.sha256()
    for tensor in supernet.state_dict().values():
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory of the device that was held since the last reset; without a GPU, of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def train(jobs: Sequence[Job]) -> None:
    """Print what each of some trainings did, a line of JSON each; as torchrun starts it, or alone."""
    with join_processes(1 if jobs[0].device == "cuda" else 0) as processes:
        for job in jobs:
            print(json.dumps(_train(job, processes)), flush=True)
        if "TORCHELASTIC_RUN_ID" in os.environ:
            print(json.dumps({"name": "all-reduce", "adds_up": _all_reduces(processes.device)}), flush=True)


def _train(job: Job, processes: Processes) -> dict[str, Any]:
    images, labels = learnable_images(job)
    record = Record(job.kill_at_step)
    if processes.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with (
        mock.patch.object(training, "train_step", record.around(training.train_step)),
        mock.patch.object(training, "foresee", record.beginning_after(training.foresee)),
    ):
        state = None if job.state is None else Path(job.state)
        trained = training.train_supernet(space_of(job.space, job.size), images, labels, job.recipe(), state, processes)
    half = len(record.losses) // 2
    rate = job.batch * (len(record.losses) - half) / (record.ended_s[-1] - record.ended_s[half - 1])
    return {
        "name": job.name,
        "steps": len(record.losses),
        # Of the second half: the first meets every shape for the first time.
        "images_per_s": round(rate, 1),
        "first_loss": round(float(np.mean(record.losses[:_LOOKED_AT])), 4),
        "last_loss": round(float(np.mean(record.losses[-_LOOKED_AT:])), 4),
        "peak_memory_mb": round(peak_memory_mb(processes.device)),
        "weights_sha256": digest_of(trained),
    }


def _all_reduces(device: torch.device) -> bool:
    """Return whether the processes' back end adds up a tensor over a group of one."""
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        tensor = torch.arange(5.0, device=device)
        dist.all_reduce(tensor)
        return tensor.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _started(jobs: Sequence[Job], folder: Path, launcher: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Start a process that trains; it is ended at the latest when the block is."""
    file = folder / f"{jobs[0].name.replace(' ', '-')}.json"
    file.write_text(json.dumps([asdict(job) for job in jobs]))
    command = [sys.executable, *launcher, "-m", "benchmarks.gpu", "--train", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _results(process: subprocess.Popen[str], limit_s: float) -> list[dict[str, Any]]:
    try:
        said, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        raise RuntimeError(f"trainings took more than {limit_s:.0f} s; those that ended: {said or 'none'}") from None
    if process.returncode:
        raise RuntimeError(f"a training ended with status {process.returncode}; its last words are above")
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def section(scale: Scale, device: str, folder: Path) -> dict[str, Any]:
    """Return what trainings in each precision did, whole, killed and continued, and under torchrun."""
    small, large = scale.training, scale.large_training
    whole = [
        Job(f"{space} {precision}", space, size, precision, batch, epochs, steps, device)
        for space, size, batch, epochs, steps in (small, large)
        for precision in scale.precisions
    ]
    killed = [
        Job(f"killed {job.name}", job.space, job.size, job.precision, job.batch, job.epochs, job.steps_per_epoch,
            device, str(folder / f"{job.precision}.pt"), scale.kill_at_step)
        for job in whole[: len(scale.killed)]
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:  # together, since nobody times them
        for process in [stack.enter_context(_started([job], folder)) for job in killed]:
            process.communicate(timeout=scale.limit_s)
            if process.returncode != -signal.SIGKILL:
                raise RuntimeError(f"a training that kills itself ended with status {process.returncode}")
    again = [Job(**{**asdict(job), "name": f"continued {job.name}", "kill_at_step": None}) for job in killed]
    with _started([*whole, *again], folder) as process:
        results = _results(process, 2 * scale.limit_s)  # of both
    continued = results[len(whole) :]
    found = {one.pop("name"): one for one in results[: len(whole)]}
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1")
    with _started([whole[0]], folder, launcher) as process:
        by_torchrun, reduced = _results(process, scale.limit_s)
    for job, result in zip(killed, continued, strict=True):
        one = found[f"{job.space} {job.precision}"]
        one["continued_at_step"] = one["steps"] - result["steps"]
        one["continues_bit_for_bit"] = result["weights_sha256"] == one["weights_sha256"]
    first = found[whole[0].name]
    return {
        "trainings": found,
        "torchrun": {
            "images_per_s": by_torchrun["images_per_s"],
            "over_one_process": round(by_torchrun["images_per_s"] / first["images_per_s"], 3),
            "equals_one_process_bit_for_bit": by_torchrun["weights_sha256"] == first["weights_sha256"],
            "all_reduce_adds_up": reduced["adds_up"],
        },
        "failed": [
            *(f"{name}: no loss falls" for name, one in found.items() if not one["last_loss"] < one["first_loss"]),
            *([] if reduced["adds_up"] else ["torchrun: all-reduce does not add up"]),
            *(f"{job.name}: went on from step 0" for job in killed
              if not found[f"{job.space} {job.precision}"]["continued_at_step"]),
        ],
    }  # fmt: skip
