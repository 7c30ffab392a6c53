"""FOX-NAS: from a supernet to int8 models that meet their latency budgets on a device.

The default target is one deployed and validated model per device and budget, and the report. Stages
live in rules/, one file each; every rule calls one script of workflow/scripts/ with the config leaves
it depends on. Where tables of the user's stand for measurements, it ends with proposed architectures. See README.md.
"""

import re
import sys
from functools import partial
from pathlib import Path

from snakemake.utils import min_version

sys.path.insert(0, str(workflow.current_basedir))

from foxnas.app import licences
from foxnas.device.kind import EXPORTED
from foxnas.device.kinds import kind_of
from foxnas.flow import configuration, contents, devices, early_stop
from foxnas.flow import resources as jobs
from foxnas.flow import params as flow
from foxnas.flow import named, rounds
from foxnas.flow import snakemake_mends, snakemake_private
from foxnas.search.budget import Budget
from foxnas.flow.run_lock import take_folder
from foxnas.flow.runtimes import estimated, measured, measured_donors

min_version("9.0")


# A file of the user's is laid over the library's defaults, never over the demo.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


# An image file that its user makes of Containerfile, in the working directory; used with --sdm apptainer only.
container: "foxnas.sif"


flow.prepare_environment()
if snakemake_private.starts_a_run(workflow):
    HELD = take_folder()
snakemake_mends.mend_snakemake()

CONFIG = configuration.configured(workflow, config)
SIZES = CONFIG.space.image_sizes
SPACE = flow.space_at(CONFIG.space, SIZES)
DEVICES = [device.name for device in CONFIG.devices]
LATENCY = {device.name: kind_of(device.kind).latency for device in CONFIG.devices}
EDGETPU = [name for name, source in LATENCY.items() if source == "compiled"]
ETHOSU = [name for name, source in LATENCY.items() if source == "estimated"]
#: Devices that time a file as it is.
DIRECT = sorted(set(DEVICES) - set(EDGETPU) - set(ETHOSU))
#: Devices whose regressions start from those of others; few subnets are timed there.
LIKENED = [device.name for device in CONFIG.devices if device.like]
#: Devices on which blocks are timed, and few subnets.
BLOCKED = [name for name in DEVICES if CONFIG.plan(name) == "blocks"]
#: Devices on which a whole sample of subnets is timed.
TIMED_IN_FULL = sorted(set(DEVICES) - set(LIKENED) - set(BLOCKED))
#: Devices that models are deployed on, and those of tables, for which architectures are proposed and no more.
DEPLOYING, PROPOSING = (DEVICES, []) if CONFIG.verifies else ([], DEVICES)
#: Devices with a runtime of their own that themselves say what the deployed file sees.
SERVING = [d.name for d in CONFIG.devices if devices.answers_itself(CONFIG, d)]
#: Devices that serve a file of their kind's own form, by that file's name.
PREPARED = {
    d.name: kind_of(d.kind).model_file
    for d in CONFIG.devices
    if LATENCY[d.name] == "timed" and kind_of(d.kind).model_file != EXPORTED
}
SAMPLE = flow.sample(CONFIG)
BUDGETS = {budget.name: budget.spelling for budget in map(Budget.parse, CONFIG.budgets)}
FURTHER_TARGETS = [target.name for target in CONFIG.predictors.further_targets]
ROUNDS = rounds.names(CONFIG)
TWISTS = rounds.twists(CONFIG)
BATCHES = ROUNDS + TWISTS
#: With the one whose only candidate is the winner, finished.
DEPLOYABLE = BATCHES + rounds.finished(CONFIG)
#: Of all candidates; where the winner is finished, with that one in front.
RANKING = f"results/{{space}}/search/{{device}}/{{budget}}/{rounds.ranking(CONFIG)}"
SHARDS = flow.shards_of(CONFIG.sampling.subnets)
# With those that are measured for the baselines alone.
ALL_SHARDS = flow.shards_of(CONFIG.sampling.subnets + CONFIG.baselines.extra_subnets)
# A path with a wildcard filled in by every value it has; the others stay.
at_sizes = partial(expand, size=SIZES, allow_missing=True)
of_shards = partial(expand, shard=SHARDS, allow_missing=True)
of_budgets = partial(expand, budget=BUDGETS, allow_missing=True)
# By a function, filled in by the budgets that this call asks for.
of_asked = partial(
    named.of_budgets, partial(snakemake_private.targets, workflow), BUDGETS
)
of_rounds = partial(expand, round=ROUNDS, allow_missing=True)
of_batches = partial(expand, batch=BATCHES, allow_missing=True)
of_deployable = partial(expand, batch=DEPLOYABLE, allow_missing=True)
# Journals outlive their jobs, so Snakemake must not know them: where they lie is a param. Unlike other paths, a
# param does not follow the prefix of a module (`module: prefix:`), so it is put before them here.
JOURNAL = snakemake_private.module_prefix(workflow)
#: Compiled models by content; no rule's output, so that failed and repeated jobs keep what was compiled.
COMPILED = JOURNAL("results/edgetpu-cache")


wildcard_constraints:
    space=re.escape(SPACE.name),
    size="|".join(str(size) for size in SIZES),
    device="|".join(DEVICES),
    budget="|".join(re.escape(name) for name in BUDGETS),
    shard=r"\d+",
    round=r"round-\d+",
    batch=r"round-\d+|twist|finished",
    arch=named.ARCH,
    fold=r"[1-9]\d*",


if CONFIG.verifies:

    include: "rules/data.smk"
    include: "rules/devices.smk"
    include: "rules/supernet.smk"
    include: "rules/sampling.smk"
    include: "rules/accuracy.smk"

    if CONFIG.supernet.folds > 1:

        include: "rules/folds.smk"
    include: "rules/latency.smk"


include: "rules/predictors.smk"


if LIKENED:

    include: "rules/like.smk"


if BLOCKED:

    include: "rules/blocks.smk"


include: "rules/search.smk"


if rounds.acquired(CONFIG):

    include: "rules/acquisition.smk"


if CONFIG.verifies:

    include: "rules/export.smk"
    include: "rules/validation.smk"
    include: "rules/edgetpu.smk"
    include: "rules/ethosu.smk"
    include: "rules/named.smk"
    include: "rules/rivals.smk"
    include: "rules/app.smk"

    if CONFIG.finishing.on:

        include: "rules/finishing.smk"

else:

    include: "rules/tables.smk"


include: "rules/report.smk"
# What one asks for by name; no part of the default run.
include: "comparisons/predictors.smk"


if CONFIG.verifies:

    include: "comparisons/strategies.smk"


rule all:
    """Deployed and validated models for every device and budget, and the page that explains them.

    Of tables alone: proposed architectures, and the page.
    """
    default_target: True
    input:
        models=expand(
            "results/{space}/deploy/{device}/{budget}/model.tflite",
            space=SPACE.name,
            device=DEPLOYING,
            budget=BUDGETS,
        ),
        verdicts=expand(
            "results/{space}/deploy/{device}/{budget}/validation.json",
            space=SPACE.name,
            device=DEPLOYING,
            budget=BUDGETS,
        ),
        compiled=expand(
            "results/{space}/deploy/{device}/{budget}/model_edgetpu.tflite",
            space=SPACE.name,
            device=EDGETPU,
            budget=BUDGETS,
        ),
        estimated=expand(
            "results/{space}/deploy/{device}/{budget}/model_vela.tflite",
            space=SPACE.name,
            device=ETHOSU,
            budget=BUDGETS,
        ),
        cards=expand(
            "results/{space}/deploy/{device}/{budget}/card.md",
            space=SPACE.name,
            device=DEPLOYING,
            budget=BUDGETS,
        ),
        rivals=expand(
            "results/{space}/rivals/{device}/rivals.csv",
            space=SPACE.name,
            device=WITH_RIVALS if CONFIG.verifies else [],
        ),
        proposals=expand(
            "results/{space}/search/{device}/proposals.json",
            space=SPACE.name,
            device=PROPOSING,
        ),
        report="results/report.html",
        promises=expand("results/{space}/promises.json", space=SPACE.name)
        * CONFIG.verifies,
    localrule: True


onstart:
    from foxnas.flow import interruption, retirement

    retirement.retire_journals(workflow)
    retirement.begin_journals(workflow)
    interruption.end_jobs_with_the_run()
    configuration.keep(CONFIG, Path(JOURNAL("results/config.yaml")))


onsuccess:
    from foxnas.flow import retirement, summary

    retirement.retire_journals(workflow)
    summary.succeeded(workflow)


onerror:
    from foxnas.flow import retirement, summary

    retirement.retire_journals(workflow)
    summary.failed(workflow)


jobs.share_out(workflow, CONFIG)
