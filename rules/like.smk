"""Likened devices: few probes, chosen to tell most, say how the latency is a mix of other devices' regressions."""


# Those subnets of the first shard that tell most, until a mix predicts closely enough. Where it never does, the whole
# shard is timed, and `time_rest` times the others. Which subnets tell most depends on the donors' regressions, which are
# ancient all the same: that they are fitted again times nothing.
use rule time_subnets as time_chosen with:
    input:
        **flow.script("time_chosen"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        subnets=ancient("results/{space}/{size}/shards/subnets/0.csv"),
        regressions=lambda wildcards: ancient(devices.donors(CONFIG, wildcards.device)),
    output:
        table="results/{space}/{size}/shards/latency-{device}/0.csv",
        session="results/{space}/{size}/shards/latency-{device}/0.json",
    log:
        "results/logs/{space}/{size}/time_chosen-{device}/0.log",
    benchmark:
        "results/benchmarks/{space}/{size}/time_chosen-{device}/0.tsv"
    wildcard_constraints:
        device=flow.any_of(LIKENED),
    params:
        **flow.script_params("time_chosen"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            device=measured(CONFIG, wildcards.device),
            sample=SAMPLE,
            like=devices.like(CONFIG, wildcards.device),
            form=CONFIG.predictors.latency_form,
            donors=measured_donors(CONFIG, wildcards.device),
        ),
        journal=JOURNAL("results/{space}/{size}/journals/latency-{device}/0.jsonl"),
    message:
        "Timing the subnets at {wildcards.size} px that tell most of {wildcards.device}"


use rule time_subnets as time_rest with:
    input:
        **flow.script("time_rest"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        subnets=ancient("results/{space}/{size}/shards/subnets/{shard}.csv"),
        first=rules.time_chosen.output.session,
    log:
        "results/logs/{space}/{size}/time_rest-{device}/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/time_rest-{device}/{shard}.tsv"
    wildcard_constraints:
        device=flow.any_of(LIKENED),
        shard=r"[1-9]\d*",
    params:
        **flow.script_params("time_rest"),
    message:
        "Timing shard {wildcards.shard} of the subnets at {wildcards.size} px on {wildcards.device}, if needed"


use rule fit_latency as fit_like with:
    input:
        **flow.script("fit_like"),
        table="results/{space}/{size}/latency-{device}.csv",
        session=rules.time_chosen.output.session,
        regressions=lambda wildcards: devices.donors(CONFIG, wildcards.device),
    log:
        "results/logs/{space}/{size}/fit_like-{device}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/fit_like-{device}.tsv"
    wildcard_constraints:
        device=flow.any_of(LIKENED),
    params:
        **flow.script_params("fit_like"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            form=CONFIG.predictors.latency_form,
            folds=CONFIG.predictors.folds,
            seed=CONFIG.predictors.seed,
            like=devices.like(CONFIG, wildcards.device),
        ),
    message:
        "Mixing the latency predictor at {wildcards.size} px on {wildcards.device}"
