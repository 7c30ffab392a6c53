"""What the rules need to say their inputs and params: shards, code closures, config leaves.

Code, and files that a config names, are marked `local`: they are where they are, whatever prefix the workflow is given
as a module, and whatever remote storage its results go to.

Imported while the DAG is built, so nothing heavy (torch, tensorflow, pandas, statsmodels) may be
reached from here.
"""

from __future__ import annotations

import gc
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakemake.io import ancient, local

from foxnas.accuracy.config import AccuracyConfig, EvaluationConfig
from foxnas.config.whole import Config
from foxnas.errors import FoxnasError
from foxnas.files import closures, orphans
from foxnas.flow.checkout import BASE, recorded, seen
from foxnas.flow.inputs import input_sets, named_files
from foxnas.search.goal import Caps
from foxnas.settings.section import canonical
from foxnas.space.sampling_config import SampleConfig
from foxnas.space.space import SearchSpace
from foxnas.supernet.donors import donor_file

#: Subnets in a shard. A constant, so that more subnets add shards and leave the finished ones alone.
SHARD_SIZE = 100

#: Percentile budgets are resolved over this many subnets of every size, whatever is measured later.
PERCENTILE_SUBNETS = 300

SCRIPTS = BASE / "workflow" / "scripts"


def prepare_environment() -> None:
    """Let jobs find this package, this interpreter, installed and activated or not, and this process."""
    paths = [str(BASE), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    interpreter = Path(sys.executable)
    if (found := shutil.which("python")) is None or Path(found).resolve().parent != interpreter.resolve().parent:
        os.environ["PATH"] = os.pathsep.join([str(interpreter.parent), os.environ.get("PATH", "")])
    orphans.announce_run()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # glibc gives every large activation back to the system and takes it anew, page by page; keeping the
    # memory made the evaluation of subnets about a tenth faster.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2 * 10**9))
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(4 * 10**9))
    # What Snakemake makes while it builds the DAG stays to the end; looking through it for garbage, over and over,
    # was a tenth of a dry run of 20,000 jobs.
    gc.set_threshold(50_000, 20, 100)


def script(name: str, folder: Path = SCRIPTS) -> dict[str, str]:
    """Return the inputs of a rule that are its program: the `script`, and as `code` the list of all modules of it.

    The script is ancient, since the list says what of it counts.
    """
    path = folder / f"{name}.py"
    return {"script": local(ancient(seen(path))), "code": local(recorded(path))}


def code_digest(name: str, folder: Path = SCRIPTS) -> str:
    """Return the digest of these modules: the rule's `code` param, for edits with an old time stamp."""
    return f"code {closures.digest(folder / f'{name}.py')}"


def script_params(name: str, folder: Path = SCRIPTS) -> dict[str, Any]:
    """Return the params by which a rule calls its script: the digest of its `code`, and its `files` as options."""
    return {"code": code_digest(name, folder), "files": file_options}


def file_options(wildcards: Any, input: Any, output: Any) -> str:
    """Return an option for every file of a rule that has a name, quoted for a shell.

    The name is the option's: `measured_accuracy` goes to `--measured-accuracy`. An input that a rule only waits for has
    no name, or is called `ready`. `--inputs` says which files these are, for what an artefact records of its making.
    """
    made = [(name, [files] if isinstance(files, str) else files) for name, files in output.items()]
    named = [(f"--{name.replace('_', '-')}", files) for name, files in (*named_files(input), *made)]
    words = [word for option, files in named for word in (option, *files)]
    return shlex.join([*words, "--inputs", canonical(input_sets(input))])


def command(more: str = "") -> str:
    """Return a rule's shell command: its script, with its settings and files, and what it says is also kept as its log.

    Parameters
    ----------
    more
        Words to stand behind the settings: first of all further settings, which change no result, then options.
    """
    words = ["python {input.script} --settings {params.settings:q}", more, "{params.files} 2>&1 | tee {log:q}"]
    return " ".join(filter(None, words))


def settings(**leaves: Any) -> str:
    """Return the config leaves a rule depends on as its one canonical param."""
    return canonical(leaves)


def accuracy_files(config: Config) -> list[str]:
    """Return the user's tables of accuracies: as they stand, unless only the workflow's folder has such files."""
    assert config.accuracy.table
    return [_given(Path(file)) for file in config.accuracy.table.files(config.space.image_sizes)]


def latency_files(config: Config, device: str) -> list[str]:
    """Return the user's tables of a table device's latencies, likewise."""
    table = config.device(device).table
    assert table
    return [_given(Path(file)) for file in table.files(config.space.image_sizes)]


def of_tables(config: Config) -> dict[str, bool]:
    """Return the leaf of the search by which accuracies and latencies may be of other subnets; none of a run's own."""
    return {} if config.verifies else {"shared": True}


def of_sizes(config: Config) -> dict[str, str]:
    """Return the leaf of a refit by which image sizes are fitted together; none where they are fitted apart."""
    chosen = config.predictors.accuracy_sizes
    return {} if chosen == "apart" else {"accuracy_sizes": chosen}


def own_tables(config: Config, wildcards: Any, sizes: Sequence[int]) -> list[str]:
    """Return the user's own tables of a further target; nothing where it is a column of the latency tables."""
    own = config.predictors.further(wildcards.target).table is not None
    return target_tables(config, wildcards, sizes) if own else []


def sample(config: Config) -> SampleConfig:
    """Return which sequence of subnets is measured, without how many of it: more of them change no shard."""
    return SampleConfig(seed=config.sampling.seed, design=config.sampling.design)


def evaluation(config: Config) -> EvaluationConfig:
    """Return how many subnets are evaluated, without the device: it changes no result."""
    return EvaluationConfig(**config.accuracy.model_dump(include=set(EvaluationConfig.model_fields)))


def preparation(config: Config) -> AccuracyConfig:
    """Return how a subnet is made ready and evaluated in fp32, on which the precision of the others has no effect."""
    return AccuracyConfig(**config.accuracy.model_dump(include=set(AccuracyConfig.model_fields)))


def shards_of(subnets: int) -> list[int]:
    """Return the shards that hold the first `subnets` subnets; every shard is always full."""
    return list(range(-(-subnets // SHARD_SIZE)))


def target_tables(config: Config, wildcards: Any, sizes: Sequence[int]) -> list[str]:
    """Return where a further target was measured: the user's files, or the device's latency tables."""
    own = config.predictors.further(wildcards.target).table
    pattern = own or f"results/{wildcards.space}/{{size}}/latency-{{device}}.csv"
    # Not `format`: other braces are the user's own.
    tables = [pattern.replace("{size}", str(size)).replace("{device}", wildcards.device) for size in sizes]
    return [local(table) for table in tables] if own else tables


def checkpoint(config: Config) -> str:
    """Return the given checkpoint's path: as it stands, unless only the workflow's folder has such a file."""
    assert config.supernet
    assert config.supernet.checkpoint
    return _given(Path(config.supernet.checkpoint))


def donor(config: Config) -> dict[str, str]:
    """Return the input that is a pretrained network's file, likewise; none where the supernet is not made of one.

    Raises FoxnasError when its weights are not installed.
    """
    assert config.supernet
    if config.supernet.source != "pretrained":
        return {}
    assert config.supernet.donor
    return {"donor": _given(donor_file(config.supernet.donor))}


def rivals(config: Config) -> dict[str, list[str]]:
    """Return, by the name of each off-the-shelf network, the file of its weights; none where they are random.

    Raises FoxnasError when its weights are not installed.
    """
    return {
        network.name: [_given(donor_file(network.donor, f"rivals.networks.{i}.donor"))] if network.donor else []
        for i, network in enumerate(config.rivals.networks)
    }


def _given(path: Path) -> str:
    return local(seen(BASE / path) if not path.exists() and (BASE / path).exists() else str(path))


def calibration_images(config: Config) -> int:
    """Return how many images of the train split recalibrate or calibrate."""
    return max(config.accuracy.recalibration_images, config.export.calibration_images)


def prepared_mb(config: Config) -> int:
    """Return the megabytes of all images of all sizes."""
    assert config.data
    splits = config.data.splits
    return _megabytes(config, calibration_images(config) + splits.fit + splits.verify + splits.test)


def fold_mb(config: Config) -> int:
    """Return the same of one further fold."""
    assert config.data
    return _megabytes(config, config.accuracy.recalibration_images + config.data.splits.fit)


def _megabytes(config: Config, images: int) -> int:
    pixels = sum(size * size for size in config.space.image_sizes)
    return -(-images * pixels * config.space.image_channels // 10**6)


def any_of(names: Iterable[str]) -> str:
    """Return the wildcard constraint that these names meet, and nothing if there are none."""
    return "|".join(sorted(names)) or "(?!)"


def untracked(**leaves: Callable[[Any], Any]) -> Callable[[Any, Any], str]:
    """Return the param of leaves that the result does not depend on: each is given the wildcards.

    Snakemake takes a param that is a function of `output` for derived from what it tracks anyway, and never compares
    it: a device that is reached through another port is not measured again.
    """
    return lambda wildcards, output: settings(**{name: leaf(wildcards) for name, leaf in leaves.items()})


def evaluated_on(config: Config) -> Callable[[Any, Any], str]:
    """Return the param that says what evaluates subnets, which changes no result."""
    return untracked(device=lambda wildcards: config.accuracy.device)


def caps(config: Config, device: str) -> Caps:
    """Return what a subnet may cost on a device: the search's caps, and the device's own on the file, the tighter."""
    own, limit = config.search.caps, config.device(device).max_model_bytes
    both = [size for size in (own.max_int8_bytes, limit) if size is not None]
    return replace(own, max_int8_bytes=min(both, default=None))


def objective_file(config: Config) -> list[str]:
    """Return the file of the user's own objective, or nothing when there is none.

    It is looked for in the working directory and its `config` folder, then beside the workflow, likewise. Raises
    FoxnasError naming these places.
    """
    if config.search.objective.function is None:
        return []
    module = config.search.objective.function.partition(":")[0]
    path = Path(*module.split(".")).with_suffix(".py")
    places = [folder / path for folder in (Path(), Path("config"), BASE, BASE / "config")]
    for place in places:
        if place.is_file():
            return [local(seen(place) if place.is_absolute() else str(place))]
    looked = ", ".join(map(str, dict.fromkeys(places)))
    raise FoxnasError(f"search.objective.function: there is no module {module!r}; looked for {looked}")


def percentile_subnets(config: Config) -> int:
    """Return how many subnets of every size resolve a percentile budget."""
    return min(config.sampling.subnets, PERCENTILE_SUBNETS)


def percentile_shards(config: Config) -> list[int]:
    """Return the shards that hold those subnets."""
    return shards_of(percentile_subnets(config))


def space_at(space: SearchSpace, sizes: Sequence[int]) -> SearchSpace:
    """Return the space with only these image sizes, so that another size does not touch a rule.

    Nor does the divisor: the config has been held against it, and that is all it is for.
    """
    return replace(space, image_sizes=tuple(sizes), size_divisor=1)


def shape_of(space: SearchSpace) -> SearchSpace:
    """Return the space with one image size, the same for all: what weights and layers depend on."""
    return space_at(space, [1])
