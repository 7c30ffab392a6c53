"""Write docs/explanation/invalidation.md from the rows that are tested: `python -m tests.support.invalidation_page`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.support.invalidation import ROWS
from tests.support.stages import ON_THE_PAGE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "invalidation.md"


def page() -> str:
    """Return the text of docs/explanation/invalidation.md."""
    lines = [_INTRODUCTION, "| change | runs again | where, when |", "|---|---|---|"]
    told: dict[tuple[str, str, str], list[str]] = {}
    for row in ROWS:
        where = [f"that {name}" for name in row.where if "the new" not in row.stage.says]
        section = row.leaf.partition(".")[0].removesuffix("[]")
        key = (section, row.stage.says, ", ".join([*where, *filter(None, [row.note])]))
        told.setdefault(key, []).append(row.leaf)
    for (_, says, where), leaves in told.items():
        lines.append(f"| {', '.join(f'`{leaf}`' for leaf in _shortened(leaves))} | {says} | {where} |")
    lines += ["", "Where the words lead:", "", "| stage | begins with | then |", "|---|---|---|"]
    for stage in ON_THE_PAGE:
        then = "; ".join(dict.fromkeys(after.says for after in stage.then))
        lines.append(f"| {stage.says} | {', '.join(f'`{rule}`' for rule in stage.own)} | {then} |")
    return "\n".join(lines) + "\n"


def _shortened(leaves: Iterable[str]) -> list[str]:
    """Return the leaves, with one entry for a whole section whose leaves are all there."""
    known, left = {row.leaf for row in ROWS}, list(dict.fromkeys(leaves))
    for depth in (1, 2, 3):
        for prefix in dict.fromkeys(".".join(leaf.split(".")[:depth]) for leaf in left if leaf.count(".") >= depth):
            inside = {leaf for leaf in known if leaf.startswith(f"{prefix}.")}
            if len(inside) > 1 and inside <= set(left):
                place = min(map(left.index, inside))
                left = [leaf for leaf in left if leaf not in inside]
                left.insert(place, f"{prefix}.*")
    return left


_INTRODUCTION = """# What runs again

Change a line of the config, run the same command: only what depends on that line runs again. `snakemake -n` says what
and why before anything does. `python -m tests.support.invalidation_page` writes this page from the rows of
`tests/support/invalidation.py`. `tests/workflow/test_invalidation.py` compares each row with Snakemake's answer, and
`tests/workflow/test_invalidation_pairs.py` swaps two numbers of each section.

- **Measurements** run again only when their own settings or their own code change. The sampled table that they read
  is `ancient` for them: they go by what defines it (space, seed, design), not by the file. A job that
  was interrupted continues from its journal, as far as that is of this protocol, runner, machine and set of models;
  one that had finished [measures anew](../how-to/promises.md#measure-a-device-again) when it runs again.
- **The user's files** (checkpoint, tables, objective, data folder) count by their content, whatever their time stamps
  say. Of folders of more than 4 GB the names and sizes count, of more than 100,000 files the names.
- **Without Snakemake's records** (`.snakemake` was deleted, or results were copied), what every artefact says of its
  making is compared instead: settings, script, and which files it was made of (`tests/workflow/test_lost_records.py`).
  Only the archives of a data set say nothing: where you changed `data.dataset` or `data.folder`, delete
  `results/data/source` too.
- **The runtime** is part of a measurement: the version of LiteRT or PyTorch that is installed here, or the pins in
  `envs/` for a device that is provisioned by them. With `ssh.python` it is its owner's.
- **More subnets** are further shards of 100. The first ones stay the same subnets in the same files; with fewer, what
  is there is used again.
- **A kind of device** is code too: what its class imports, of foxnas or of [a plug-in](../how-to/add-a-device-kind.md),
  is digested into every measurement of its devices. An edited kind measures its own devices again and no others.
- **How a device is reached** (`ssh.user`, `ssh.port`, `ssh.folder`, ...), how long it is waited for (`patience`) and
  where the compiler is are no part of a result. A changed way is tried once, by `provision_device`. `ssh.host` and
  `ssh.python` are part of it: another machine, another interpreter. A board that is swapped behind the same host name
  is noticed when the next shard is measured, and refused: give the new one a `name` of its own.
- **Code**: a rule runs again when its script, or a module that the script imports, directly or not, does something
  else than before, whatever its time stamp says (`tests/workflow/test_invalidation_code.py`). Comments, docstrings and
  layout of the code, touched files, another checkout in the same place, and comments and another order in the config
  run nothing.
- **Images** are dealt out by one rule, so a change of one split deals out all, and whatever sees an image follows.
  Latency never does.
- **Budgets in milliseconds** are resolved by the same rule as percentiles, which also checks that a measured subnet
  meets them. Nothing makes that rule run again that does not make the search run again, too.
- **A file that is gone** is made again, and what follows from it: one that you deleted, or that a job was to make anew
  and did not finish (`tests/workflow/test_lost_files.py`). One of which Snakemake has no record is made where a job
  that runs needs it.
- Snakemake 9.27 overlooks such files, and what changed downstream of an `ancient` input that is made again in the same
  call; `foxnas/flow/snakemake_mends.py` says how this workflow does not.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
