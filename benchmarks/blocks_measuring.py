"""Time whole subnets and chains of blocks in the same sessions: what `benchmarks.blocks` computes with.

    python -m benchmarks.blocks_measuring --xnnpack off    # 10 minutes on an idle machine; on: 15

The first 300 uniform subnets of every image size of the demo's space, and every distinct block in chains of 4 and 8
copies, in one random order, with the demo's protocol. They are timed in pieces, each with its own journal in
`--folder`, so that the machine can have others in between.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foxnas.config.whole import read_config
from foxnas.device.acceptance import Attempt, is_settled, judge, table_row
from foxnas.device.building import build_device
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.session import Probe, measure_probes
from foxnas.int8.chain import PartWriter
from foxnas.space.blocks import Blocks
from foxnas.space.space import SearchSpace

DATA = Path(__file__).parent / "data"
SUBNETS = 300


def table_of(xnnpack: str) -> Path:
    """Return where the measurements are kept."""
    return DATA / f"blocks-xnnpack-{xnnpack}.csv.gz"


def probes_of(space: SearchSpace, lengths: Sequence[int]) -> list[Probe]:
    """Return all probes: named "subnet <size> <id>" and "chain <copies> <block>"."""
    writer = PartWriter(space)
    found: list[Probe] = []
    for size in space.image_sizes:
        for arch in islice(space.sample(size, np.random.default_rng([14, size])), SUBNETS):
            found.append((f"subnet {size} {arch.id}", arch.text, partial(writer.write, arch)))
    for block in Blocks(space).distinct:
        for copies in lengths:
            write: Callable[[], bytes] = partial(writer.write_chain, block, copies)
            found.append((f"chain {copies} {block.id}", "", write))
    return found


def rows_of(journal: Path, protocol: MeasurementProtocol) -> list[dict[str, Any]]:
    """Return one row per probe of a piece that has a timing which alone would be believed.

    `latency_ms` is that of the run's own table, of the timings that agree best, also where they agree too little;
    `least_ms` the least median of all timings; `first_ms` and `first_undisturbed_ms` the median of the first timing
    that alone would be believed, and the least tenth percentile up to that one; `again_undisturbed_ms` that up to the
    next one that would be believed, if there is any; `device_ms`, `first_device_ms` and `again_device_ms` are what
    these timings took the device.
    """
    attempts = judge([json.loads(line) for line in journal.read_text().splitlines()], protocol)
    rows = []
    for name, made in attempts.items():
        believed = next((i for i, one in enumerate(made) if not one.problem), None)
        if believed is None or not is_settled(made, protocol):
            continue
        again = next((i for i in range(believed + 1, len(made)) if not made[i].problem), believed)
        settled = next(n for n in range(1, len(made) + 1) if is_settled(made[:n], protocol))
        rows.append(
            {
                "id": name,
                "latency_ms": table_row(name, "", made[:settled], protocol)["latency_ms"],
                "least_ms": min(one.row["latency_ms"] for one in made[:settled] if "error" not in one.row),
                "first_ms": made[believed].row["latency_ms"],
                "first_undisturbed_ms": _undisturbed_ms(made[: believed + 1]),
                "again_undisturbed_ms": _undisturbed_ms(made[: again + 1]),
                "device_ms": _device_ms(made[:settled]),
                "first_device_ms": _device_ms(made[: believed + 1]),
                "again_device_ms": _device_ms(made[: again + 1]),
            }
        )
    return rows


def _undisturbed_ms(attempts: Sequence[Attempt]) -> float:
    return float(min(one.row["p10_ms"] for one in attempts if "error" not in one.row))


def _device_ms(attempts: Sequence[Attempt]) -> float:
    return float(sum(one.row.get("device_ms") or 0.0 for one in attempts))


def main() -> None:
    """Time one piece, or all; with the last, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xnnpack", choices=("off", "on"), required=True)
    parser.add_argument("--folder", type=Path, default=Path("results/blocks"))
    parser.add_argument("--copies", type=int, nargs="+", default=[4, 8], help="of a block in its chains")
    parser.add_argument("--pieces", type=int, default=12)
    parser.add_argument("--piece", type=int, help="from 0; left out: all that are missing, and the table")
    options = parser.parse_args()
    config = read_config(Path("config/config.yaml"))
    asked = config.devices[0]
    device, protocol = build_device(asked.measured, asked.access, [])
    protocol = replace(protocol, xnnpack=options.xnnpack == "on")
    probes = probes_of(config.space, options.copies)
    reference = PartWriter(config.space).write(config.space.largest(config.space.image_sizes[0]))
    order = np.random.default_rng(5).permutation(len(probes))
    journals = [options.folder / f"xnnpack-{options.xnnpack}-{piece}.jsonl" for piece in range(options.pieces)]
    for piece in range(options.pieces) if options.piece is None else (options.piece,):
        some = [probes[i] for i in np.array_split(order, options.pieces)[piece]]
        measure_probes(device, protocol, some, reference, journals[piece], np.random.default_rng(piece))
    if options.piece is None:
        architectures = {name: text for name, text, _ in probes}
        rows = pd.DataFrame(row for journal in journals for row in rows_of(journal, protocol))
        rows = rows.assign(arch=rows["id"].map(architectures)).sort_values("id")
        rows.to_csv(
            table_of(options.xnnpack), index=False, float_format="%.6g", compression={"method": "gzip", "mtime": 0}
        )
        print(f"{len(rows)} of {len(probes)} probes are usable")


if __name__ == "__main__":
    main()
