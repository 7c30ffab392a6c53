"""Devices that time blocks: every block of the space once, and few subnets that calibrate their sum."""


# One job for all image sizes, which share blocks.
use rule time_subnets as time_blocks with:
    input:
        **flow.script("time_blocks"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
    output:
        table="results/{space}/blocks-{device}.csv",
        session="results/{space}/blocks-{device}.json",
    log:
        "results/logs/{space}/time_blocks-{device}.log",
    benchmark:
        "results/benchmarks/{space}/time_blocks-{device}.tsv"
    wildcard_constraints:
        device=flow.any_of(BLOCKED),
    params:
        **flow.script_params("time_blocks"),
        settings=lambda wildcards: flow.settings(
            space=SPACE, device=measured(CONFIG, wildcards.device)
        ),
        journal=JOURNAL("results/{space}/journals/blocks-{device}.jsonl"),
    message:
        "Timing the blocks of all sizes on {wildcards.device}"


# The first subnets of the first shard. The blocks' table is ancient: that it is made again times no subnet.
use rule time_subnets as time_calibration with:
    input:
        **flow.script("time_calibration"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        subnets=ancient("results/{space}/{size}/shards/subnets/0.csv"),
        blocks=ancient(rules.time_blocks.output.session),
    output:
        table="results/{space}/{size}/shards/latency-{device}/0.csv",
        session="results/{space}/{size}/shards/latency-{device}/0.json",
    log:
        "results/logs/{space}/{size}/time_calibration-{device}/0.log",
    benchmark:
        "results/benchmarks/{space}/{size}/time_calibration-{device}/0.tsv"
    wildcard_constraints:
        device=flow.any_of(BLOCKED),
    params:
        **flow.script_params("time_calibration"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            device=measured(CONFIG, wildcards.device),
            sample=SAMPLE,
            calibration_subnets=CONFIG.device(
                wildcards.device
            ).latency.calibration_subnets,
        ),
        journal=JOURNAL("results/{space}/{size}/journals/latency-{device}/0.jsonl"),
    message:
        "Timing the subnets at {wildcards.size} px that calibrate the blocks of {wildcards.device}"


rule leave_untimed:
    """Write down that the subnets of a further shard are not timed on a device that times blocks."""
    input:
        **flow.script("leave_untimed"),
        subnets=ancient("results/{space}/{size}/shards/subnets/{shard}.csv"),
        first=rules.time_calibration.output.session,
    output:
        table="results/{space}/{size}/shards/latency-{device}/{shard}.csv",
        session="results/{space}/{size}/shards/latency-{device}/{shard}.json",
    log:
        "results/logs/{space}/{size}/leave_untimed-{device}/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/leave_untimed-{device}/{shard}.tsv"
    wildcard_constraints:
        device=flow.any_of(BLOCKED),
        shard=r"[1-9]\d*",
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("leave_untimed"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)])
        ),
    message:
        "Leaving shard {wildcards.shard} of the subnets at {wildcards.size} px untimed on {wildcards.device}"
    shell:
        flow.command()


use rule fit_latency as fit_blocks with:
    input:
        **flow.script("fit_blocks"),
        table="results/{space}/{size}/latency-{device}.csv",
        blocks=rules.time_blocks.output.table,
    output:
        sum_of_blocks="results/{space}/{size}/predictors/blocks-{device}.json",
        predictor=report(
            "results/{space}/{size}/predictors/latency-{device}.json",
            caption="../workflow/report/predictor.rst",
            category="Predictors",
            labels={"predicts": "latency on {device}", "size": "{size} px"},
        ),
        fits="results/{space}/{size}/predictors/latency-{device}-fits.json",
    log:
        "results/logs/{space}/{size}/fit_blocks-{device}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/fit_blocks-{device}.tsv"
    wildcard_constraints:
        device=flow.any_of(BLOCKED),
    params:
        **flow.script_params("fit_blocks"),
        settings=flow.settings(
            space=SPACE,
            folds=CONFIG.predictors.folds,
            seed=CONFIG.predictors.seed,
        ),
    message:
        "Calibrating the sum of blocks at {wildcards.size} px on {wildcards.device}"
