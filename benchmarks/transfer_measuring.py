"""Measure the devices of `benchmarks.transfer`, all on this machine, and write the table that it reads.

    python -m benchmarks.transfer_measuring --old-python /path/to/python-with-tflite-runtime-2.14

Six runtimes are timed by the runner itself, subnet by subnet in random order, the devices of a subnet one after the
other and in random order: what else the machine does then meets all of them alike. A timing is the tenth percentile of
its runs, which other processes disturb least. As many passes over all subnets are made as fit into the minutes given.
Five NPUs are estimated by Vela. A row of the table is a subnet and a pass.

LiteRT's own kernels and PyTorch with two threads are left out: with other processes on both cores they waited for each
other, and took 0.06 to 33 ms, and 1 to 1,337 ms, at 24 px.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foxnas.device.client import Runner
from foxnas.device.local import LocalTransport
from foxnas.device.npu import NpuSettings
from foxnas.device.probes import probe_writer
from foxnas.device.protocol import MeasurementProtocol, TorchOptions
from foxnas.device.transport import Device
from foxnas.ethosu.probe import TrainedLikeWriter
from foxnas.ethosu.summary import read_estimate
from foxnas.ethosu.vela import SHIPPED
from foxnas.space.arch import Arch
from foxnas.space.config import read_space
from foxnas.space.space import SearchSpace
from tests.support.vela import vela

SPACE, SIZES, SUBNETS = "mini", (24, 40), 330
TABLE = Path(__file__).parent / "data" / "transfer.csv.gz"

#: Few runs and many passes: what disturbs one timing is over at the next.
_PROTOCOL: dict[str, Any] = {
    "warm_up_runs": 2, "warm_up_ms": 0.5, "min_runs": 12, "min_time_ms": 3.0, "max_time_ms": 60.0,
}  # fmt: skip

#: Vela's own main, for many models in one process: a start takes 20 times as long as a compilation.
_COMPILE = """
import json, sys
from ethosu.vela.vela import main
for words in json.load(sys.stdin):
    assert main(words) == 0, words
"""

NPUS = {
    "ethos-u55-32": ("Ethos_U55_Deep_Embedded", "Shared_Sram"),
    "ethos-u55-128": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u55-256": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65-512": ("Ethos_U65_High_End", "Dedicated_Sram"),
    "ethos-u85-256": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram"),
}


def drawn() -> list[Arch]:
    """Return the subnets, the first size's first."""
    space = read_space(SPACE)
    return [arch for size in SIZES for arch in islice(space.sample(size, np.random.default_rng([15, size])), SUBNETS)]


def timed_devices(old_python: str) -> list[tuple[Device, MeasurementProtocol]]:
    """Return the runtimes of this machine, each under a lock of its own: this process takes turns with them."""
    asked: dict[str, tuple[str, str, dict[str, Any]]] = {
        "litert-xnnpack-1": ("tflite", sys.executable, {}),
        "litert-xnnpack-2": ("tflite", sys.executable, {"threads": 2}),
        "litert-own-1": ("tflite", sys.executable, {"xnnpack": False}),
        "tflite-runtime-own-1": ("tflite", old_python, {"xnnpack": False}),
        "torch-1": ("torch", sys.executable, {"torch": TorchOptions(batch=1)}),
        "torch-batch-8": ("torch", sys.executable, {"torch": TorchOptions(batch=8)}),
    }
    return [
        (
            Device(name, LocalTransport(python), backend=kind, lock=f"transfer-{name}"),
            MeasurementProtocol(**_PROTOCOL, **more),
        )
        for name, (kind, python, more) in asked.items()
    ]


def timings(space: SearchSpace, archs: Sequence[Arch], old_python: str, limit_s: float) -> pd.DataFrame:
    """Return milliseconds: a row per subnet and pass, a column per device. The last pass ends before `limit_s`."""
    write = {kind: probe_writer(kind, space)[0] for kind in ("tflite", "torch")}
    rng, began, rows, passes, longest_s = np.random.default_rng(0), time.monotonic(), [], 0, 0.0
    with ExitStack() as stack:
        runners = [stack.enter_context(Runner(*device)) for device in timed_devices(old_python)]
        while (start := time.monotonic()) + longest_s < began + limit_s:
            for place in rng.permutation(len(archs)):
                models = {kind: one(archs[place]) for kind, one in write.items()}
                row: dict[str, Any] = {"arch": archs[place].text, "pass": passes}
                for turn in rng.permutation(len(runners)):
                    device = runners[turn].device
                    row[device.name] = runners[turn].measure(archs[place].id, models[device.backend])["p10_ms"]
                rows.append(row)
            passes, longest_s = passes + 1, max(longest_s, time.monotonic() - start)
            print(f"pass {passes}: {time.monotonic() - start:.0f} s", flush=True)
    return pd.DataFrame(rows).sort_values(["pass", "arch"])


def estimates(space: SearchSpace, archs: Sequence[Arch]) -> pd.DataFrame:
    """Return Vela's milliseconds: a row per subnet, a column per NPU."""
    writer, program = TrainedLikeWriter(space), Path(vela())
    table = pd.DataFrame({"arch": [arch.text for arch in archs]})
    with tempfile.TemporaryDirectory() as name:
        sources = [Path(name) / f"{number}.tflite" for number in range(len(archs))]
        for source, arch in zip(sources, archs, strict=True):
            source.write_bytes(writer.write(arch))
        for accelerator, (system, memory) in NPUS.items():
            npu = NpuSettings.model_validate(
                {"accelerator_config": accelerator, "system_config": system, "memory_mode": memory}
            )
            words = ["--config", SHIPPED, "--accelerator-config", accelerator, "--system-config", system]
            words += ["--memory-mode", memory, "--output-dir", name]
            asked = json.dumps([[*words, str(source)] for source in sources])
            command = [str(program.with_name("python")), "-c", _COMPILE]
            subprocess.run(command, input=asked, text=True, check=True, capture_output=True)
            column = []
            for source in sources:
                summary = source.with_name(f"{source.stem}_summary_{system}.csv")
                compiled = source.with_name(f"{source.stem}_vela.tflite")
                found = read_estimate(summary, source.read_bytes(), compiled.read_bytes(), npu)
                assert not found.problem, found.problem
                column.append(found.npu_ms)
            table[accelerator] = column
            print(f"{accelerator}: {len(column)} estimates", flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old-python", required=True, help="a Python with tflite-runtime 2.14")
    parser.add_argument("--minutes", type=float, default=8, help="for all timings together")
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    space, archs = read_space(SPACE), drawn()
    timed = timings(space, archs, options.old_python, 60 * options.minutes)
    table = timed.merge(estimates(space, archs), on="arch")
    table.to_csv(options.table, index=False, float_format="%.5g", compression={"method": "gzip", "mtime": 0})


if __name__ == "__main__":
    main()
