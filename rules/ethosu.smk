"""Ethos-U: probes and models compiled by Arm's Vela, whose estimate is the latency; nothing is timed."""

#: Made once for a results folder; no rule's output, so that Snakemake never looks at its thousands of files.
VELA = JOURNAL("results/ethos-u-compiler/environment")


rule install_vela:
    """Install the compiler that envs/host-ethos-u.txt pins, in an environment of its own."""
    input:
        **flow.script("install_vela"),
        pins=devices.vela_pins(),
    output:
        ready="results/ethos-u-compiler/ready.json",
    log:
        "results/logs/install_vela.log",
    benchmark:
        "results/benchmarks/install_vela.tsv"
    localrule: True
    resources:
        **jobs.growing(mem_mb=500, runtime=30),
    params:
        **flow.script_params("install_vela"),
        settings=flow.settings(),
        environment=VELA,
    message:
        "Installing Vela"
    shell:
        flow.command("--environment {params.environment:q}")


rule estimate_subnets:
    """Estimate the latency of one shard of probes; those with operators on the CPU are flagged rows.

    Nothing is waited for but cores, so shards run side by side.
    """
    input:
        **flow.script("estimate_subnets"),
        ready=lambda wildcards: devices.vela_ready(CONFIG.device(wildcards.device)),
        subnets=ancient("results/{space}/{size}/shards/subnets/{shard}.csv"),
    output:
        table="results/{space}/{size}/shards/latency-{device}/{shard}.csv",
        session="results/{space}/{size}/shards/latency-{device}/{shard}.json",
    log:
        "results/logs/{space}/{size}/estimate_subnets-{device}/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/estimate_subnets-{device}/{shard}.tsv"
    wildcard_constraints:
        device=flow.any_of(ETHOSU),
    resources:
        **jobs.growing(mem_mb=1000, runtime=240),
    params:
        **flow.script_params("estimate_subnets"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            device=estimated(CONFIG, wildcards.device),
            sample=SAMPLE,
        ),
        vela=devices.vela(CONFIG, VELA),
        journal=JOURNAL(
            "results/{space}/{size}/journals/latency-{device}/{shard}.jsonl"
        ),
    message:
        "Estimating shard {wildcards.shard} of the subnets at {wildcards.size} px on {wildcards.device}"
    shell:
        flow.command("{params.vela:q} --journal {params.journal:q}")


rule estimate_candidates:
    """Compile the exported candidates and estimate their latency; one with operators on the CPU has none."""
    input:
        **flow.script("estimate_candidates"),
        ready=lambda wildcards: devices.vela_ready(CONFIG.device(wildcards.device)),
        exported="results/{space}/search/{device}/{budget}/{batch}/exported.csv",
        models=ancient("results/{space}/search/{device}/{budget}/{batch}/exported"),
    output:
        compiled_models=directory(
            "results/{space}/search/{device}/{budget}/{batch}/compiled"
        ),
        table="results/{space}/search/{device}/{budget}/{batch}/compiled.csv",
        latencies="results/{space}/search/{device}/{budget}/{batch}/timed.json",
    log:
        "results/logs/{space}/{device}/{budget}/{batch}/estimate_candidates.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/{batch}/estimate_candidates.tsv"
    wildcard_constraints:
        device=flow.any_of(ETHOSU),
    resources:
        **jobs.growing(mem_mb=1000, runtime=60),
    params:
        **flow.script_params("estimate_candidates"),
        settings=lambda wildcards: flow.settings(
            device=estimated(CONFIG, wildcards.device),
            memory=devices.memory_limits(CONFIG, wildcards.device),
        ),
        vela=devices.vela(CONFIG, VELA),
    message:
        "Estimating the candidates of {wildcards.batch} for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command("{params.vela:q}")


rule confirm_estimate:
    """Hold the estimates against the budget, from the best candidate down: there is nothing to time again."""
    input:
        **flow.script("confirm_estimate"),
        ranking=RANKING,
        estimated=of_deployable(
            "results/{space}/search/{device}/{budget}/{batch}/timed.json"
        ),
    output:
        latencies="results/{space}/deploy/{device}/{budget}/latency.json",
    log:
        "results/logs/{space}/{device}/{budget}/confirm_estimate.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/confirm_estimate.tsv"
    wildcard_constraints:
        device=flow.any_of(ETHOSU),
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("confirm_estimate"),
        settings=flow.settings(),
    message:
        "Confirming the estimate for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command("--device {wildcards.device}")


rule deploy_vela:
    """Put the winner's compiled file, whose estimate was believed, beside the winner."""
    input:
        **flow.script("deploy_vela"),
        winner="results/{space}/search/{device}/{budget}/winner.json",
        compiled_models=ancient(
            of_deployable("results/{space}/search/{device}/{budget}/{batch}/compiled")
        ),
        tables=of_deployable(
            "results/{space}/search/{device}/{budget}/{batch}/compiled.csv"
        ),
    output:
        model="results/{space}/deploy/{device}/{budget}/model_vela.tflite",
        summary="results/{space}/deploy/{device}/{budget}/compiled.json",
    log:
        "results/logs/{space}/{device}/{budget}/deploy_vela.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/deploy_vela.tsv"
    wildcard_constraints:
        device=flow.any_of(ETHOSU),
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("deploy_vela"),
        settings=flow.settings(),
    message:
        "Deploying the compiled winner for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command()
