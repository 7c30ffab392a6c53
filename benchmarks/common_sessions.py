"""What it does to a model's sessions that others take part in them: spread, disturbances, and what a session takes.

    python -m benchmarks.common_sessions --others 4 12

Sessions of the demo's device, in turn of one subnet's probe alone and of the same beside so many others, follow each
other without a pause. Of that one model: the spread of its session medians, and of these over the reference's of the
same session, both in percent (1.48 x MAD) with bootstrap intervals of the ratio to alone, and the share of sessions
that would not count.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median

import numpy as np

from benchmarks.promise import CONFIG, demo
from foxnas.config.whole import read_config
from foxnas.device.common_sessions import CommonSession, hold_sessions
from foxnas.int8.probe import ProbeWriter

MODEL = "model"


def spreads_percent(sessions: Sequence[CommonSession]) -> np.ndarray:
    """Return the spread of the model's session medians, and of these over the references': 1.48 x MAD / median."""
    medians = np.array([median(row["latency_ms"] for row in one.timed.timings[MODEL]) for one in sessions])
    over = medians / np.array([one.timed.reference_ms for one in sessions])
    return np.array([148 * np.median(abs(values / np.median(values) - 1)) for values in (medians, over)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--others", type=int, nargs="+", default=[4, 12])
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    device, protocol, reference, model = demo()
    space, rng = read_config(CONFIG).space, np.random.default_rng(options.seed)
    writer = ProbeWriter(space)
    others = [writer.write(space.draw(space.image_sizes[0], rng)) for _ in range(max(options.others))]
    contents = {MODEL: model, **{f"other {number}": content for number, content in enumerate(others)}}
    crowds = [list(contents)[: 1 + others] for others in (0, *options.others)]
    turns = iter([crowd for _ in range(options.sessions) for crowd in crowds])
    made = hold_sessions(
        device, protocol, contents.__getitem__, reference, [], lambda room: next(turns, []), lambda session: None
    )
    usual_ms = median(one.timed.reference_ms for one in made)
    alone = [one for one in made if len(one.models) == 1]
    for crowd in crowds:
        those = [one for one in made if len(one.models) == len(crowd)]
        disturbed = [bool(one.timed.disturbance(MODEL, protocol, usual_ms)) for one in those]
        drawn = [
            [[group[i] for i in rng.integers(len(group), size=len(group))] for group in (those, alone)]
            for _ in range(2000)
        ]
        ratios = np.percentile(
            [spreads_percent(one) / spreads_percent(base) for one, base in drawn], [2.5, 97.5], axis=0
        )
        print(
            f"beside {len(crowd) - 1:2} others, {len(those)} sessions of {median(one.seconds for one in those):.2f} s: "
            + "; ".join(
                f"{name} spread by {spread:.2f}% ({low:.2f} to {high:.2f} times alone)"
                for name, spread, low, high in zip(
                    ("medians", "over the reference"), spreads_percent(those), *ratios, strict=True
                )
            )
            + f"; {100 * np.mean(disturbed):.0f}% would not count"
        )


if __name__ == "__main__":
    main()
