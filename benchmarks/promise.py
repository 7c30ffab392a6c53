"""How often a verdict on a latency promise is right, by today's rule and by the one before it.

    python -m benchmarks.promise                              simulate: on recorded sessions, and on made-up noise
    python -m benchmarks.promise record --busy 1 OUT.csv.gz   record sessions of this machine for it
    python -m benchmarks.promise validate --busy 1            real validations beside a seeded load

A simulated validation begins at a random moment of a recording and takes the sessions that lie `--spread` seconds
apart, until the rule decides; what the reference usually takes is its median in a random minute of the quiet
recording. The rule before took five sessions in a row and no reference, and held their mean plus t s / sqrt(n) to
the budget. The truth is the median over the quiet recording. Goals: of the models whose median is 2% above the
budget at most 5% are called kept, of those 2% below at most 5% not kept.

The made-up sessions have 0.5% of noise each, and 1% or 2% that all sessions of a validation share with the references.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from foxnas.config.whole import read_config
from foxnas.device.building import build_device
from foxnas.device.client import Runner
from foxnas.device.model_session import ModelSession
from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device
from foxnas.device.whole_models import ModelLatency, measure_models, upper_bound
from foxnas.int8.probe import ProbeWriter
from foxnas.verdict.decision import Decision, decide, is_over

DATA = Path(__file__).parent / "data"
CONFIG = Path("config/config.yaml")
#: Recorded with `record`, in this order, on a cloud machine with two cores of an AMD EPYC at 2.6 GHz.
RECORDED = {"quiet": "promise-busy-0.csv.gz", "1 busy": "promise-busy-1.csv.gz", "2 busy": "promise-busy-2.csv.gz"}
SESSIONS, MOST = 5, 40
#: The order within a session: the reference around each of three rounds.
ORDER = ("reference", "model") * 3 + ("reference",)
COLUMNS = ["session", "t_s", "what", "latency_us", "mad_percent", "preempted_percent"]


@contextmanager
def load(busy: int, seed: int) -> Iterator[None]:
    """Let so many processes compute and pause in turn, each for 5 seconds on average."""
    command = [sys.executable, "-m", "benchmarks.promise", "burn", "--seed"]
    processes = [subprocess.Popen([*command, str(seed + number)]) for number in range(busy)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def burn(seed: int) -> None:
    """Compute and pause in turn, for ever."""
    draw = random.Random(seed)
    while True:
        end = time.monotonic() + draw.expovariate(1 / 5)
        while time.monotonic() < end:
            pass
        time.sleep(draw.expovariate(1 / 5))


def demo() -> tuple[Device, MeasurementProtocol, bytes, bytes]:
    """Return the demo's device and protocol, its reference model, and a subnet's probe."""
    config = read_config(CONFIG)
    device, protocol = build_device(config.devices[0].measured, config.devices[0].access, [])
    space, writer = config.space, ProbeWriter(config.space)
    smallest = space.image_sizes[0]
    drawn = space.draw(smallest, np.random.default_rng(3))
    return device, protocol, writer.write(space.largest(smallest)), writer.write(drawn)


def record(path: Path, busy: int, seconds: float, seed: int) -> None:
    """Write the timings of sessions in quick succession."""
    device, protocol, reference, model = demo()
    rows, began = [], time.monotonic()
    with load(busy, seed):
        while (now := time.monotonic() - began) < seconds:
            number = len(rows) // len(ORDER)
            with Runner(device, protocol) as runner:
                for what in ORDER:
                    row = runner.measure(what, reference if what == "reference" else model)
                    spread = 100 * row["mad_ms"] / row["latency_ms"]
                    rows.append((number, now, what, 1000 * row["latency_ms"], spread, row["preempted_percent"]))
    pd.DataFrame(rows, columns=COLUMNS).round(2).to_csv(path, index=False)


class Recording:
    """Sessions of one model, by the time they began."""

    def __init__(self, path: Path, runs: int) -> None:
        table = pd.read_csv(path)
        # As the runner's rows; how many runs there were does not matter here.
        table = table.assign(latency_ms=table["latency_us"] / 1000, runs=runs)
        table["mad_ms"] = table["mad_percent"] / 100 * table["latency_ms"]
        self.began_s = table.groupby("session")["t_s"].first().to_numpy()
        self.sessions = []
        for _, rows in table.groupby("session"):
            references, timed = (rows[rows["what"] == what].to_dict("records") for what in ("reference", "model"))
            self.sessions.append(ModelSession({"model": timed}, {}, references))
        self.medians_ms = np.array([median(row["latency_ms"] for row in s.timings["model"]) for s in self.sessions])
        self.references_ms = np.array([one.reference_ms for one in self.sessions])

    def usual_ms(self, rng: np.random.Generator) -> float:
        """Return the reference's median in a random minute."""
        start = rng.uniform(0, self.began_s[-1] - 60)
        return float(np.median(self.references_ms[(self.began_s >= start) & (self.began_s < start + 60)]))

    def from_start(self, start_s: float, spread_s: float) -> Iterator[int]:
        """Yield the sessions that begin `spread_s` apart; behind the last comes the first."""
        length = self.began_s[-1]
        for number in range(MOST):
            yield int(np.searchsorted(self.began_s, (start_s + number * spread_s) % length))


def decide_on(medians: Sequence[float], references: Sequence[float], budget_ms: float, usual_ms: float) -> Decision:
    """Return the rule's verdict on the sessions so far."""
    return decide(medians, budget_ms, references, usual_ms, SESSIONS)


def replay(
    recording: Recording,
    start_s: float,
    spread_s: float,
    usual_ms: float,
    budget_ms: float,
    limits: MeasurementProtocol,
) -> tuple[Decision, int]:
    """Return the verdict of a validation that begins at a moment, and how many sessions it made."""
    medians: list[float] = []
    references: list[float] = []
    made = 0
    for index in recording.from_start(start_s, spread_s):
        made += 1
        session = recording.sessions[index]
        if session.disturbance("model", limits, usual_ms):
            continue
        medians.append(float(recording.medians_ms[index]))
        references.append(session.reference_ms)
        if is_over(medians, budget_ms, references, usual_ms, SESSIONS):
            break
    return decide_on(medians, references, budget_ms, usual_ms), made


def before(recording: Recording, start_s: float) -> float:
    """Return the bound of the rule before: five sessions in a row."""
    first = int(np.searchsorted(recording.began_s, start_s % recording.began_s[-1]))
    return upper_bound([float(recording.medians_ms[(first + i) % len(recording.medians_ms)]) for i in range(5)])


def table(title: str, decisions: int, one: Callable[[float], tuple[Decision, int, float]]) -> None:
    """Print one line per distance of the true median from the budget; `one` judges a model of some true median."""
    print(title)
    for percent in (2.0, 1.0, 0.0, -1.0, -2.0):
        found = [one(1 + percent / 100) for _ in range(decisions)]
        shares = Counter(decision.state for decision, _, _ in found)
        made = [number for _, number, _ in found]
        was = np.mean([bound <= 1 for _, _, bound in found])
        print(
            f"  median {percent:+.0f}% of the budget: "
            + ", ".join(
                f"{state} {100 * shares[state] / decisions:.1f}%" for state in ("kept", "not kept", "undecided")
            )
            + f"; sessions {np.median(made):.0f} (95% within {np.quantile(made, 0.95):.0f}); the rule before: kept "
            f"{100 * was:.1f}%"
        )


def simulate(decisions: int, spread_s: float, seed: int) -> None:
    """Print how often both rules are right, on the recorded sessions and on made-up ones."""
    rng, limits = np.random.default_rng(seed), read_config(CONFIG).devices[0].protocol
    protocol = MeasurementProtocol(**vars(limits))
    recordings = {name: Recording(DATA / file, limits.min_runs) for name, file in RECORDED.items()}
    quiet = recordings["quiet"]
    truth_ms = float(np.median(quiet.medians_ms))
    for name, recording in recordings.items():
        disturbed = [bool(one.disturbance("model", protocol, quiet.usual_ms(rng))) for one in recording.sessions]

        def one(true: float, recording: Recording = recording) -> tuple[Decision, int, float]:
            start_s, usual_ms = rng.uniform(0, recording.began_s[-1]), quiet.usual_ms(rng)
            budget_ms = truth_ms / true
            decided = replay(recording, start_s, spread_s, usual_ms, budget_ms, protocol)
            return *decided, before(recording, start_s) / budget_ms

        table(f"{name}: {len(disturbed)} sessions, {100 * np.mean(disturbed):.1f}% disturbed", decisions, one)
        starts = rng.uniform(0, recording.began_s[-1], decisions)
        covered = np.mean([before(recording, start) >= truth_ms for start in starts])
        print(f"  the bound of the rule before lies above the true median in {100 * covered:.1f}%")
    for shared in (0.0, 0.01, 0.02):

        def made_up(true: float, shared: float = shared) -> tuple[Decision, int, float]:
            common = np.exp(shared * rng.normal())
            medians = (true * common * np.exp(0.005 * rng.normal(size=MOST))).tolist()
            references = (common * np.exp(0.002 * rng.normal(size=MOST))).tolist()
            for count in (5, 10, 20, 40):
                if is_over(medians[:count], 1.0, references[:count], 1.0, SESSIONS):
                    break
            found = decide_on(medians[:count], references[:count], 1.0, 1.0)
            return found, count, upper_bound(medians[:5])

        table(f"made up, {100 * shared:.0f}% shared", decisions, made_up)
        bounds = [made_up(1.0) for _ in range(decisions)]
        was = np.mean([bound >= 1 for _, _, bound in bounds])
        now = np.mean([found.upper >= 1 for found, _, _ in bounds])
        print(f"  upper bound at or above the true median: {100 * now:.1f}%, of the rule before {100 * was:.1f}%")


def validate(busy: int, validations: int, spread_s: float, seed: int) -> None:
    """Print the verdicts of real validations beside a load, on models 2% within and beyond their budgets."""
    device, protocol, reference, model = demo()
    quiet, info = measure_models(device, protocol, {"model": model}, reference, 20, np.random.default_rng(seed))
    truth_ms = quiet["model"].median_ms
    usual_ms = median(ms for one in info["sessions"] for ms in one["references_ms"])
    wrong = 0
    for number in range(validations):
        within = number % 2 == 0
        budget_ms = truth_ms / (0.98 if within else 1.02)

        def enough(found: ModelLatency, budget_ms: float = budget_ms) -> bool:
            return is_over(found.session_medians_ms, budget_ms, found.reference_medians_ms, usual_ms, SESSIONS)

        with load(busy, seed + 10 * number):
            measured, info = measure_models(
                device, protocol, {"model": model}, reference, SESSIONS, np.random.default_rng(number),
                baseline_ms=usual_ms, most_sessions=MOST, spread_s=spread_s,
                enough=enough,
            )  # fmt: skip
        found = measured["model"]
        decision = decide_on(found.session_medians_ms, found.reference_medians_ms, budget_ms, usual_ms)
        was = upper_bound(found.session_medians_ms[:SESSIONS]) <= budget_ms
        wrong += decision.state == ("not kept" if within else "kept")
        print(
            f"model 2% {'within' if within else 'beyond'}: {decision.state} after {len(info['sessions'])} sessions, "
            f"{len(found.sessions_redone)} of them redone; the rule before, on the first five: "
            f"{'kept' if was else 'not kept'}", flush=True,
        )  # fmt: skip
    print(f"{wrong} of {validations} verdicts are wrong, with {busy} busy processes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("simulate", "record", "validate", "burn"), default="simulate")
    parser.add_argument("path", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "promise.csv.gz")
    parser.add_argument("--busy", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=270.0)
    parser.add_argument("--decisions", type=int, default=1000)
    parser.add_argument("--validations", type=int, default=10)
    parser.add_argument("--spread", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    match options.what:
        case "record":
            record(options.path, options.busy, options.seconds, options.seed)
        case "validate":
            validate(options.busy, options.validations, options.spread, options.seed)
        case "burn":
            burn(options.seed)
        case _:
            simulate(options.decisions, options.spread, options.seed)


if __name__ == "__main__":
    main()
