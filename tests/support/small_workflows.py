"""Small workflows that show what Snakemake does, each run or planned in a process of its own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from tests.support.forked_python import python

ROOT = Path(__file__).resolve().parents[2]

#: Every workflow can say facts as JSON, a line each; they are asked of the real thing, in its own process.
HEAD = f"""
import json, sys
sys.path.insert(0, {str(ROOT)!r})
from foxnas.flow import snakemake_mends as mends, snakemake_private as private
def say(**facts):
    with open("facts.jsonl", "a") as file:
        file.write(json.dumps(facts, default=str) + chr(10))
"""


def snakemake(folder: Path, *words: str, snakefile: str = "", check: bool = True, **environment: str) -> str:
    """What a run says, on two cores."""
    if snakefile:
        (folder / "Snakefile").write_text(HEAD + snakefile)
    done = python(["-m", "snakemake", "--cores", "2", *words], folder, {**os.environ, **environment})
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def facts(folder: Path) -> list[dict[str, Any]]:
    """What was said since the last time."""
    path = folder / "facts.jsonl"
    said = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    path.unlink(missing_ok=True)
    return said


def asked(folder: Path, code: str, snakefile: str = "") -> Any:
    """The value that `code` says as JSON, in a process of its own with `plan`, the partial of `planned`."""
    if snakefile:
        (folder / "Snakefile").write_text(HEAD + snakefile)
    prelude = (
        "import json, sys\nfrom functools import partial\nfrom pathlib import Path\n"
        "from foxnas.flow import snakemake_mends as mends, snakemake_private as private\n"
        "from tests.support import plans\n"
        "plan = partial(plans.planned, Path('Snakefile').absolute(), Path().absolute())\n"
        "def say(value): print('\\n' + json.dumps(value))\n"
    )
    done = python(["-c", prelude + code], folder, {**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def planned_rules(text: str) -> set[str]:
    return set(re.findall(r"^(?:local)?rule (\w+):", text, re.MULTILINE))


#: b takes a's file as ancient; a, b and c have a param each.
ANCIENT = """
if config["mend"]:
    mends.mend_snakemake()
    mends.mend_snakemake()
rule c:
    input: "b"
    output: "c"
    params: value=config["of_c"]
    shell: "echo {params.value} > {output}"
rule b:
    input: ancient("a")
    output: "b"
    params: value=config["of_b"]
    shell: "echo {params.value} > {output}"
rule a:
    output: "a"
    params: value=config["of_a"]
    shell: "echo {params.value} > {output}"
"""


def values(changed: str = "", mend: bool = True) -> list[str]:
    return ["--config", f"mend={mend}", *(f"of_{name}={'new' if name in changed else 'old'}" for name in "abc")]


#: Two jobs that would run side by side, and write down when they begin and end.
SIDE_BY_SIDE = """
say(overwritten={rule: sorted(given) for rule, given in private.overwritten_resources(workflow).items()})
rule all:
    input: "a", "b"
rule one:
    output: "{i}"
    wildcard_constraints: i="[ab]"
    threads: lambda wildcards: 2 - private.runs_here(workflow)
    shell: "echo begin >> order; sleep 2; echo end >> order; touch {output}"
if "lane" in config:
    private.limit_resources(workflow, {"lane": config["lane"]})
    for name, resources in private.resources_of_rules(workflow).items():
        say(rule=name, has_lane="lane" in resources)
        resources["lane"] = 1
if "here" in config:
    private.keep_here(workflow, ["one"])
"""
