"""How well a measurement repeats, and how well it agrees with the runtime's own benchmark.

    python -m benchmarks.repeatability

Two complete sessions (runner processes, journals and random orders of their own) time the same 100 subnets of
the demo on this machine with the demo's protocol; the difference of a subnet is that of its two latencies over
their mean. Then ten of the subnets are timed with `ai_edge_litert.tools.benchmark_litert_model` and with the
runner in turn, both pinned to one CPU and with XNNPACK, which the tool has always; the tool rounds to 0.01 ms.
Goals: a median difference of at most 2%, and medians within 3% of the tool's. The machine should be otherwise idle.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from foxnas.config.whole import read_config
from foxnas.device.building import build_device
from foxnas.device.client import Runner
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import measure_probes
from foxnas.device.transport import Device
from foxnas.int8.probe import ProbeWriter
from foxnas.space.arch import Arch

TOOL = "ai_edge_litert.tools.benchmark_litert_model"


def two_sessions(
    device: Device, protocol: MeasurementProtocol, writer: ProbeWriter, archs: Sequence[Arch], folder: Path
) -> pd.DataFrame:
    """Return the usable rows of both sessions, joined by id."""
    probes = [(arch.id, arch.text, partial(writer.write, arch)) for arch in archs]
    reference = writer.write(writer.space.largest(writer.space.image_sizes[0]))
    tables = []
    for number in (1, 2):
        rng = np.random.default_rng(number)
        table, _ = measure_probes(device, protocol, probes, reference, folder / f"{number}.jsonl", rng)
        print(
            f"session {number}: {table['usable'].sum()} of {len(table)} usable, {table['attempts'].mean():.2f} timings"
        )
        tables.append(table[table["usable"]][["id", "latency_ms"]])
    return tables[0].merge(tables[1], on="id")


def tool_median_ms(model: Path, runs: int, cpu: int) -> float:
    """Median of the runtime's own benchmark on one CPU."""
    result = model.with_suffix(".json")
    options = ["--model", str(model), "--num_runs", str(runs), "--warmup_runs", "20", "--result_json", str(result)]
    command = ["taskset", "-c", str(cpu), sys.executable, "-m", TOOL, *options]
    subprocess.run(command, check=True, capture_output=True)
    return float(json.loads(result.read_text())["latency"]["median_ms"])


def ratio_to_tool(device: Device, protocol: MeasurementProtocol, model: Path, runs: int, turns: int) -> float:
    """Median over turns of ours over the tool's, who is first changing from turn to turn."""
    cpu = max(os.sched_getaffinity(0)) if protocol.cpu is None else protocol.cpu
    settings = replace(protocol, xnnpack=True, min_runs=runs, warm_up_runs=20)
    ratios = []
    for turn in range(turns):
        theirs = tool_median_ms(model, runs, cpu) if turn % 2 else 0.0
        with Runner(device, settings) as runner:
            ours = runner.measure(model.stem, model.read_bytes())["latency_ms"]
        ratios.append(ours / (theirs or tool_median_ms(model, runs, cpu)))
    return float(np.median(ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--subnets", type=int, default=100)
    parser.add_argument("--files", type=int, default=10, help="subnets that the tool times as well")
    parser.add_argument("--runs", type=int, default=200, help="timed runs of a file and turn")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    config = read_config(options.config)
    space = config.space
    device, protocol = build_device(config.devices[0].measured, config.devices[0].access, [])
    writer, rng = ProbeWriter(space), np.random.default_rng(0)
    sizes = space.image_sizes
    archs = [space.draw(sizes[number % len(sizes)], rng) for number in range(options.subnets)]
    with tempfile.TemporaryDirectory() as name:
        both = two_sessions(device, protocol, writer, archs, Path(name))
        first, second = both["latency_ms_x"], both["latency_ms_y"]
        difference = 100 * (second - first).abs() / ((first + second) / 2)
        print(
            f"two sessions, {len(both)} subnets: median difference {difference.median():.2f}% (90th percentile "
            f"{difference.quantile(0.9):.2f}%, largest {difference.max():.2f}%), second over first "
            f"{(second / first).median():.4f}"
        )
        ratios = []
        # The largest images: there the tool's rounding to 0.01 ms is least.
        for arch in sorted(archs, key=lambda arch: -arch.image_size)[: options.files]:
            model = Path(name) / f"{arch.id}.tflite"
            model.write_bytes(writer.write(arch))
            ratios.append(ratio_to_tool(device, protocol, model, options.runs, options.turns))
    print(
        f"the runner over {TOOL}, {len(ratios)} files, {options.turns} turns of {options.runs} runs: median "
        f"{np.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f})"
    )


if __name__ == "__main__":
    main()
