"""Four boards as one device: 400 probes over SSH, against one board alone; and 40 faults while they are measured.

    python -m benchmarks.rack

Each board is a real OpenSSH server on loopback with a real runner. Models sleep for a stated time in place of
computing, so that four boards find room on two cores; their times are known, so every latency in the tables is checked.
Four jobs run at a time, each a process that measures a shard of 100 probes, as Snakemake runs them.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from foxnas.device.acceptance import judge
from foxnas.device.config import SshConfig
from foxnas.device.session import Probe, measure_probes
from foxnas.device.ssh.transport import SshTransport
from foxnas.device.transport import Device
from tests.support.loopback_rack import REFERENCE, SLEEPING, LoopbackBoard, loopback_boards, loopback_rack

SHARD = 100

#: Boards of one kind differ by some percent.
HOSTS, SLOWNESS = ("pi4-a", "pi4-b", "pi4-c", "pi4-d"), (1.0, 1.03, 0.97, 1.05)


def probe_ms(shard: int, number: int) -> float:
    """Return how long a probe sleeps."""
    return 30 + (17 * (SHARD * shard + number)) % 41


def probes_of(shard: int) -> list[Probe]:
    """Return a shard's probes."""
    content = [str(probe_ms(shard, number)).encode() for number in range(SHARD)]
    return [(f"s{shard}p{n:03d}", f"arch {shard} {n}", partial(bytes, content[n])) for n in range(SHARD)]


def job(shard: int, folder: Path, boards: Sequence[SshConfig]) -> pd.DataFrame:
    """Measure a shard on a board of the rack, as `time_subnets` does."""
    device = loopback_rack(folder, boards, timeout_s=5, away_s=600, busy_s=3600)
    return _measured(device, shard, folder)


def alone(shard: int, folder: Path, board: SshConfig) -> pd.DataFrame:
    """Measure a shard on a board that is no part of a rack."""
    device = Device("pi4", SshTransport(board, "tflite"), lock=f"{folder.name}-{board.host}", timeout_s=5)
    return _measured(device, shard, folder)


def _measured(device: Device, shard: int, folder: Path) -> pd.DataFrame:
    rng, journal = np.random.default_rng(shard), folder / f"{shard}.jsonl"
    return measure_probes(device, SLEEPING, probes_of(shard), REFERENCE, journal, rng)[0]


class Faults(threading.Thread):
    """Plants faults while jobs run: each when so many timings are in the journals."""

    def __init__(self, boards: Sequence[LoopbackBoard], journals: Path, number: int, total: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._boards, self._journals, self._rng = boards, journals, np.random.default_rng(seed)
        places = sorted(self._rng.choice(np.arange(5, total - 20), number, replace=False).tolist())
        special = {number // 8: self._slow_down, number // 4: self._reboot, number // 2: self._lose_for_good}
        self._plan = [(place, special.get(i, self._one_of_the_way)) for i, place in enumerate(places)]
        self._lost: set[str] = set()
        self.planted: Counter[str] = Counter()
        self.ended = False

    def run(self) -> None:
        """Wait for each fault's moment and do it."""
        while self._plan and not self.ended:
            if self._timed() >= self._plan[0][0]:
                self._plan.pop(0)[1]()
            time.sleep(0.02)

    def _timed(self) -> int:
        return sum(path.read_bytes().count(b'"kind": "probe"') for path in self._journals.glob("[0-9].jsonl"))

    def _slow_down(self) -> None:
        self.planted["a board that becomes 30% slow"] += 1
        self._boards[2].set_slowness(1.3)

    def _reboot(self) -> None:
        board = self._boards[1]
        self.planted["a board that goes away and comes back after 8 s"] += 1
        self._lost.add(board.host)
        board.server.kill()

        def back() -> None:
            board.server.start()
            self._lost.discard(board.host)

        threading.Timer(8, back).start()

    def _lose_for_good(self) -> None:
        self.planted["a board that is lost for good"] += 1
        self._lost.add(self._boards[3].host)
        self._boards[3].server.kill()

    def _one_of_the_way(self) -> None:
        up = [board for board in self._boards if board.host not in self._lost and board.server.runners()]
        board = up[self._rng.integers(len(up))] if up else self._boards[0]
        kinds: dict[str, Callable[[], object]] = {
            "connections cut with a reset": board.proxy.cut,
            "connections cut politely": partial(board.proxy.cut, reset=False),
            "connections cut in an answer": partial(board.proxy.cut_after, int(self._rng.integers(1, 400)), "down"),
            "corrupted answers": partial(board.proxy.corrupt, int(self._rng.integers(1, 50))),
            "killed runners": lambda: [runner.kill() for runner in board.server.runners()],
        }
        name = sorted(kinds)[self._rng.integers(len(kinds))]
        self.planted[name] += 1
        kinds[name]()


def check(tables: Sequence[pd.DataFrame], boards: Sequence[LoopbackBoard], folder: Path, tolerance: float) -> None:
    """Raise AssertionError where a probe is lost, counted twice, or has another latency than its own."""
    table = pd.concat(tables).set_index("id")
    wanted = {identifier for shard in range(len(tables)) for identifier, _, _ in probes_of(shard)}
    assert set(table.index) == wanted
    assert table.index.is_unique
    assert table["usable"].all(), table.loc[~table["usable"], "reason"].tolist()
    sent = {board.host: {(row["id"], row["latency_ms"]) for row in board.server.rows_sent()} for board in boards}
    for identifier, row in table.iterrows():
        shard, number = map(int, str(identifier)[1:].split("p"))
        assert abs(row["latency_ms"] / probe_ms(shard, number) - 1) < tolerance, (identifier, row["latency_ms"])
        assert (identifier, row["board_latency_ms"]) in sent[row["board"]], "no number that its board sent"
        assert row["runs"] == SLEEPING.min_runs, "a latency is of one timing"
    for shard in range(len(tables)):
        records = [json.loads(line) for line in (folder / f"{shard}.jsonl").read_text().splitlines()]
        for identifier, attempts in judge(records, SLEEPING).items():
            assert sum(not attempt.problem for attempt in attempts) == 1, f"{identifier} was timed well twice"


def say(tables: Sequence[pd.DataFrame], folder: Path) -> None:
    """Print which boards the probes were timed on, and how far the latencies are from what they should be."""
    table = pd.concat(tables)
    usual = [probe_ms(*map(int, identifier[1:].split("p"))) for identifier in table["id"]]
    off = 100 * (table["latency_ms"] / usual - 1)
    print(f"  probes by board: {dict(sorted(Counter(table['board']).items()))}")
    print(f"  timings of probes: {table['attempts'].sum()}")
    print(f"  latencies off by {off.median():+.2f}% in the median, {off.abs().max():.2f}% at most")
    record = [json.loads(line) for line in (folder / "boards.jsonl").read_text().splitlines()]
    took = {host: [line["took_ms"]["largest"] for line in record if line["board"] == host] for host in HOSTS}
    factors = {host: np.median(took[host]) / np.median(took[HOSTS[0]]) for host in HOSTS if took[host]}
    print(f"  sessions: {len(record)}; factors { ({host: round(float(one), 4) for host, one in factors.items()}) }")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=4, help=f"of {SHARD} probes (default: 4)")
    parser.add_argument("--faults", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shards, probes, one_board_s = range(options.shards), SHARD * options.shards, math.nan
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(len(HOSTS), spawn) as pool:
        list(pool.map(abs, range(len(HOSTS))))  # so that no process' own start counts
        with loopback_boards(Path(name) / "boards", SLOWNESS) as boards:
            ways = [board.ssh for board in boards]
            for what in ("one board alone", "the rack", "the rack with faults"):
                folder = Path(name) / f"{Path(name).name}-{what.replace(' ', '-')}"
                folder.mkdir()
                faults = Faults(boards, folder, options.faults, probes, options.seed)
                if "faults" in what:
                    faults.start()
                begun = time.perf_counter()
                if what == "one board alone":
                    tables = [pool.submit(alone, shard, folder, ways[0]).result() for shard in shards]
                    one_board_s = time.perf_counter() - begun
                else:
                    tables = list(pool.map(partial(job, folder=folder, boards=ways), shards))
                took_s = time.perf_counter() - begun
                faults.ended = True
                print(
                    f"{what}: {probes} probes in {took_s:.1f} s, {took_s / one_board_s:.3f} of one board's", flush=True
                )
                if what != "one board alone":
                    say(tables, folder)
                    check(tables, boards, folder, tolerance=0.1)
                if faults.planted:
                    print(f"  {faults.planted.total()} faults: {dict(faults.planted)}")


if __name__ == "__main__":
    main()
