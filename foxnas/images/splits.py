"""The four splits, fixed and disjoint.

*train* trains, and its first images recalibrate batch norms and calibrate int8; *fit* gives the accuracies
for the regression; *verify* compares candidates; *test* is opened for the final report, never for a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from foxnas.errors import FoxnasError


def from_published(evaluate_on: str) -> set[str]:
    """Return the splits that come from the published training images, by data.evaluate_on."""
    return {"train"} if evaluate_on == "held-out" else {"train", "fit", "verify"}


def deal(
    published: int, held_out: int, sizes: Mapping[str, int], of_published: set[str], seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the rows of every split, and what is left of the two published parts, in the seeded order.

    Parameters
    ----------
    published, held_out
        Images of the published training part and of the held-out one. Rows count through both: the held-out
        ones follow. Without held-out images all splits come from the first part.
    of_published
        Splits that are dealt from the training part; the others come from the held-out one.

    Returns
    -------
    tuple
        Rows by split, and rows left over, by split: the spares that an unreadable image of it may be replaced by.

    Raises
    ------
    FoxnasError
        A part has fewer images than its splits ask for.
    """
    rows: dict[str, np.ndarray] = {}
    spare: dict[str, np.ndarray] = {}
    first = {name: n for name, n in sizes.items() if name in of_published or not held_out}
    second = {name: n for name, n in sizes.items() if name not in first}
    kinds = (" for training", " held out") if held_out else ("", "")
    for asked, total, offset, kind in ((first, published, 0, kinds[0]), (second, held_out, published, kinds[1])):
        if not asked:
            continue
        rows |= {name: offset + dealt for name, dealt in split_rows(total, asked, seed, kind).items()}
        left = offset + np.random.default_rng(seed).permutation(total)[sum(asked.values()) :]
        spare |= dict.fromkeys(asked, left)
    return rows, spare


def replace_unreadable(
    rows: Mapping[str, np.ndarray], spare: Mapping[str, np.ndarray], unreadable: Callable[[np.ndarray], np.ndarray]
) -> tuple[dict[str, np.ndarray], list[int]]:
    """Put the next spare row in the place of every row whose image cannot be read; all others stay where they are.

    Parameters
    ----------
    unreadable
        Rows (n,) -> bool (n,).

    Returns
    -------
    tuple
        Rows by split, of the same lengths, and the unreadable rows that were met.

    Raises
    ------
    FoxnasError
        The spare images do not suffice.
    """
    taken, met = {}, []
    used: set[int] = set()
    for name, dealt in rows.items():
        chosen = dealt.copy()
        fresh = (int(row) for row in spare[name] if int(row) not in used)
        places = np.arange(len(chosen))
        while len(places := places[unreadable(chosen[places])]):
            for place in places:
                met.append(int(chosen[place]))
                if (replacement := next(fresh, None)) is None:
                    raise FoxnasError(
                        f"{len(met)} images cannot be read, and none are left to take their places in {name}; "
                        f"lower data.splits.{name}"
                    )
                used.add(replacement)
                chosen[place] = replacement
        taken[name] = chosen
    return taken, met


def split_rows(total: int, sizes: Mapping[str, int], seed: int, kind: str = "") -> dict[str, np.ndarray]:
    """Deal `total` rows, of a `kind` that errors name, out to disjoint named splits, in a seeded random order.

    Raises FoxnasError when fewer rows exist than the splits ask for.
    """
    if sum(sizes.values()) > total:
        asked = " + ".join(f"{name} {n}" for name, n in sizes.items())
        raise FoxnasError(
            f"data.splits ask for {asked} = {sum(sizes.values())} images, the data set has {total}{kind}; lower one"
        )
    order = np.random.default_rng(seed).permutation(total)
    ends = np.cumsum(list(sizes.values()))
    return {name: order[end - n : end] for (name, n), end in zip(sizes.items(), ends, strict=True)}
