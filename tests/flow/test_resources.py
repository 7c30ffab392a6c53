"""Where jobs run and what they ask for: the rules and the Slurm profile, before anything runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from benchmarks.orchestration import WHOLE_MACHINE
from foxnas.accuracy.memory import evaluation_mb
from foxnas.config.whole import Config, load_config
from foxnas.errors import FoxnasError
from foxnas.flow import resources as jobs
from foxnas.space.config import read_space
from tests.support import plans
from tests.support.configs import written_out
from tests.support.dag import EVERYTHING
from tests.support.forked_python import python
from tests.support.tiny_run import ROOT

MEASURING = (
    "time_subnets", "time_found", "time_candidates", "confirm_together", "confirm_latency", "validate_on_device",
    "time_sustained",
)  # fmt: skip

PROFILE = ROOT / "profiles" / "slurm"
BOARD = {
    "host": "board", "user": None, "port": None, "config_file": None, "password": None, "folder": "f", "python": None,
    "wheels": None,
}  # fmt: skip


def raw_config() -> dict:
    """The tiny config with more of everything that makes jobs: two rounds, three budgets, a second device over SSH."""
    raw = written_out("tiny")
    (local,) = raw["devices"]
    raw["devices"] = [local, {**local, "name": "board", "ssh": BOARD}, {**local, "name": "again", "ssh": BOARD}]
    raw["budgets"] = ["p25", "p50", "p75"]
    raw["refinement"]["rounds"] = 2
    raw["validation"]["sustained_s"] = 5.0
    return raw


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jobs") / "config.yaml"
    path.write_text(yaml.safe_dump(raw_config()))
    return path


def built(config: Path) -> Config:
    return load_config(yaml.safe_load(config.read_text()), str(config))


def dry_run(folder: Path, config: Path, *words: str, check: bool = True) -> str:
    """As on a cluster: groups are formed and checked, nothing is submitted."""
    command = [
        "-m", "snakemake", *EVERYTHING, "--snakefile", str(ROOT / "Snakefile"),
        "--configfile", str(config), "--directory", str(folder), "--workflow-profile", str(PROFILE), "--dry-run",
        *words,
    ]  # fmt: skip
    done = python(command, ROOT)
    text = done.stdout + done.stderr
    assert not check or done.returncode == 0, text[-4000:]
    return text


@pytest.fixture(scope="module")
def planned(config: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return dry_run(tmp_path_factory.mktemp("planned"), config)


def test_the_profiles_groups_hold_with_rounds_twists_budgets_and_devices(planned: str) -> None:
    """Snakemake refuses a group that depends on itself; measurements, which stay here, belong to none."""
    sizes = {}
    for name, body in re.findall(
        r"Group job (\S+) \(jobs in lexicogr\. order\):\n(.*?)(?=\n\[|\nJob stats)", planned, re.S
    ):
        sizes.setdefault(name, []).append(len(re.findall(r"^    (?:local)?rule \w+:|^    Job \d+:", body, re.M)))
    assert set(sizes) == {
        "sample", "fit_accuracy", "fit_latency", "budget", "search-round-1", "search-round-2", "search-twist",
        "compare", "deploy", "judge", "report",
    }  # fmt: skip
    assert sizes["budget"] == [9], "three budgets on three devices are one job"
    assert sizes["search-round-2"] == [3] * 9, "fits, search and export of a round"


def scheduled(folder: Path, config: Path, **overwritten: dict[str, str]) -> list[tuple[str, str, bool, dict, int]]:
    """Rule, device, whether it is a local rule, resources and threads of every job of a cluster's run."""
    question = {"folder": str(folder), "config": str(config), "overwritten": overwritten}
    done = python([__file__, json.dumps(question)], ROOT, {**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _print_scheduled(folder: str, config: str, overwritten: dict[str, dict[str, str]]) -> None:
    """In a process of its own, which it changes."""
    places = ROOT / "Snakefile", Path(folder), Path(config)
    asked = {"overwritten": overwritten, "targets": frozenset(EVERYTHING)}
    with plans.planned(*places, executor="slurm", **asked) as workflow:
        found = [
            (
                job.rule.name, job.wildcards_dict.get("device", ""), job.is_local,
                {k: v for k, v in job.resources.items() if isinstance(v, int | str) and k != "tmpdir"}, job.threads,
            )
            for job, why in plans.reasons(workflow).items()
            if why is not None
        ]  # fmt: skip
    print("\n" + json.dumps(found))


def test_every_job_holds_a_share_of_a_local_device_and_its_measurement_all(config: Path, tmp_path: Path) -> None:
    found = scheduled(tmp_path, config)
    assert {rule for rule, _, _, resources, _ in found if "device_board" in resources} == set(MEASURING)
    for rule, device, is_local, resources, threads in found:
        if rule != "all":
            assert resources["mem_mb"] > 0
            assert 0 < resources["runtime"] <= 1440
        if rule not in MEASURING:
            assert resources["this_machine"] == 1
            assert is_local == (rule in ("all", "fetch_images", "provision_device", "check_promises"))
        else:
            assert is_local, f"{rule} measures on the submitting host"
            expected = (jobs.SHARES, 0) if device == "local" else (1, 1)
            assert (resources["this_machine"], resources["device_board"]) == expected
            assert threads == 1


def test_jobs_of_many_threads_go_before_all_others() -> None:
    """Snakemake starts what fits: beside one long job they would wait, and what reads their images with them."""
    rules = [
        body for path in sorted((ROOT / "rules").glob("*.smk"))
        for body in re.split(r"(?m)^ *(?=rule \w+:)", path.read_text())[1:]
    ]  # fmt: skip
    first = [body for body in rules if "threads: DECODING_THREADS" in body]
    assert len(first) == 5
    assert all("priority: DECODING_PRIORITY" in body for body in first)
    others = re.findall(r"priority: (\w+)", "".join(body for body in rules if body not in first))
    assert others == ["1"]
    assert "DECODING_PRIORITY = 2" in (ROOT / "rules" / "data.smk").read_text()


def test_a_measurement_elsewhere_is_submitted(config: Path, tmp_path: Path) -> None:
    """With the profile's own commented lines, which name all measuring rules."""
    lines = PROFILE.joinpath("config.yaml").read_text().splitlines()
    there = [line.replace("# ", "", 1) for line in lines if re.match(r"  # \w+: [&*]there", line)]
    profile = yaml.safe_load("\n".join(["set-resources:", *there]))["set-resources"]
    found = [job for job in scheduled(tmp_path, config, **profile) if job[0] in MEASURING]
    for _, device, is_local, resources, _ in found:
        assert not is_local
        assert (resources["slurm_partition"], resources["gpu"]) == ("gpu", 1)
        assert resources["slurm_extra"] == "--nodelist=node17 --exclusive"
        assert resources["this_machine"] == (jobs.SHARES if device == "local" else 1)
    raw = written_out("coral")
    every = {*MEASURING, "validate_on_device", "time_compiled", "time_compiled_found", "time_compiled_candidates"}
    every |= {"time_named", "time_compiled_named", "confirm_compiled_together", "confirm_compiled_latency"}
    assert set(profile) == set(WHOLE_MACHINE) == every
    assert raw["devices"][0]["kind"] == "edgetpu"


def test_to_place_some_measuring_rules_only_is_refused(config: Path, tmp_path: Path) -> None:
    words = ["--set-resources", "time_subnets:slurm_partition=gpu"]
    text = dry_run(tmp_path, config, *words, check=False)
    assert "set-resources says where time_subnets runs, but not time_" in text
    assert "name a node for all of them or for none" in text


def test_a_device_elsewhere_leaves_this_machine_alone(tmp_path: Path) -> None:
    """Without a local device nothing limits how many jobs run at once."""
    raw = raw_config()
    raw["devices"] = raw["devices"][1:]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert jobs.machines(built(path)) == {"device_board": 1}
    assert "this_machine" not in dry_run(tmp_path, path)


def test_a_rack_has_room_for_as_many_measurements_as_it_has_boards(tmp_path: Path) -> None:
    """Devices of the same boards share it; of another host, nothing of it is asked for."""
    raw = raw_config()
    (local, board, again), hosts = raw["devices"], {"ssh": BOARD | {"host": "pi-a"}, "hosts": ["pi-a", "pi-b", "pi-c"]}
    raw["devices"] = [board, {**board, "name": "rack", **hosts}, {**again, "name": "same", **hosts}]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert jobs.machines(built(path)) == {"device_board": 1, "rack_pi_a_pi_b_pi_c": 3}
    asked = jobs.measuring(built(path))
    for name, needed in (("board", (1, 0)), ("rack", (0, 1)), ("same", (0, 1))):
        wildcards = SimpleNamespace(device=name)
        assert tuple(asked[resource](wildcards) for resource in ("device_board", "rack_pi_a_pi_b_pi_c")) == needed
    raw["devices"] = [local, {**board, "name": "rack", **hosts}]
    path.write_text(yaml.safe_dump(raw))
    asked = jobs.measuring(built(path))
    assert asked["this_machine"](SimpleNamespace(device="rack")) == 1
    assert asked["this_machine"](SimpleNamespace(device="local")) == jobs.SHARES


def test_placing_some_measuring_rules_is_refused_with_the_rest() -> None:
    assert not jobs.placed(
        ["time_subnets", "time_found"], {"time_subnets": {"mem_mb": 1}, "fit_latency": {"constraint": 1}}
    )
    assert jobs.placed(["time_subnets"], {"time_subnets": {"slurm_partition": "gpu"}})
    with pytest.raises(FoxnasError, match="where time_found runs, but not time_subnets, which measures the same"):
        jobs.placed(["time_subnets", "time_found"], {"time_found": {"constraint": "board"}})


def test_memory_and_time_grow_with_the_attempt() -> None:
    amount = jobs.growing(mem_mb=700)["mem_mb"]
    assert [amount(wildcards=None, attempt=n) for n in (1, 2, 3)] == [700, 1400, 2100]


#: Evaluates as many subnets as a job evaluates together, as large as they can be, in two batches.
EVALUATE = """
import re, sys
from dataclasses import replace
from pathlib import Path
import numpy as np, pandas, torch
from foxnas.accuracy.evaluation import measure
from foxnas.accuracy.preparation import Preparation
from foxnas.files.arrays import ArraysBySize
from foxnas.space.config import read_space
from foxnas.accuracy.memory import TOGETHER
from foxnas.supernet.model import Supernet
name, path, batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
space, images = read_space(name), ArraysBySize([path])
pixels = images.at(int(path.parent.name))
preparation = Preparation(Supernet(space), images, len(pixels), batch)
largest, labels = space.largest(pixels.shape[1]), np.zeros(len(pixels), np.int64)
# That they have no block in common.
first, *others = largest.units
apart = [replace(largest, units=((one, *first[1:]), *others)) for one in space.choices[0].layers()]
list(measure(preparation, apart[-TOGETHER:], images, labels, batch))
# Not the resource usage that a parent is told: that begins with the parent's own peak.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize(("space", "size", "batch"), [("cpu", 128, 16), ("cpu", 256, 8), ("mini", 40, 512)])
def test_an_evaluation_takes_what_its_job_asks_for(tmp_path: Path, space: str, size: int, batch: int) -> None:
    """Peak resident memory, under the bound and not far under, at two sizes and in two spaces."""
    images, path = 2 * batch, tmp_path / str(size) / "images.npy"
    path.parent.mkdir()
    np.save(path, np.zeros((images, size, size, read_space(space).image_channels), np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE, space, str(path), str(batch)], cwd=ROOT, stdout=subprocess.PIPE, check=True,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2 * 10**9), "MALLOC_TRIM_THRESHOLD_": str(4 * 10**9)},
    )  # fmt: skip
    bound = evaluation_mb(read_space(space), [size], batch, recalibration_images=images)[size]
    peak_mb = int(done.stdout) * 1024 / 10**6
    assert 0.6 * bound < peak_mb < bound


def test_the_memory_asked_for_grows_with_the_size_and_knows_all_of_them(config: Path) -> None:
    ask = jobs.evaluating(built(config), more_mb=100)
    small, large = (ask(wildcards=SimpleNamespace(size=size), attempt=1) for size in ("16", "24"))
    assert small < large == ask(wildcards=SimpleNamespace(budget="p50"), attempt=1)
    assert ask(wildcards=SimpleNamespace(size="16"), attempt=3) == 3 * small


def test_a_device_that_is_estimated_is_no_machine_and_none_of_its_jobs_waits_for_one(tmp_path: Path) -> None:
    raw = raw_config()
    raw["devices"] = [{"name": "npu", "kind": "ethos-u", "npu": {
        "accelerator_config": "ethos-u55-256", "system_config": "Ethos_U55_High_End_Embedded",
        "memory_mode": "Shared_Sram",
    }}]  # fmt: skip
    raw["predictors"]["further_targets"] = []
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert jobs.machines(built(path)) == {}
    rules = {rule: is_local for rule, _, is_local, _, _ in scheduled(tmp_path, path)}
    assert not set(rules) & {*MEASURING, "provision_device"}
    assert not rules["estimate_subnets"]
    assert not rules["evaluate_subnets"]


if __name__ == "__main__":
    _print_scheduled(**json.loads(sys.argv[1]))
