"""Edge TPU: probes and models compiled on this host, before anything is timed on the device."""

#: Of the first shard, whose model every session of whole models times beside them.
REFERENCES = expand(
    "results/{space}/{size}/shards/compiled-{device}/{shard}-references.csv",
    size=SIZES[:1],
    shard=SHARDS[:1],
    allow_missing=True,
)


rule compile_probes:
    """Check and compile one shard of probes; a probe that fails is a row with the reason."""
    input:
        **flow.script("compile_probes"),
        subnets=ancient("results/{space}/{size}/shards/subnets/{shard}.csv"),
    output:
        probes="results/{space}/{size}/shards/compiled-{device}/{shard}.csv",
        references="results/{space}/{size}/shards/compiled-{device}/{shard}-references.csv",
    log:
        "results/logs/{space}/{size}/compile_probes-{device}/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/compile_probes-{device}/{shard}.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    resources:
        **jobs.growing(mem_mb=2000, runtime=240),
    params:
        **flow.script_params("compile_probes"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            limits=CONFIG.device(wildcards.device).compiler.limits,
            sample=SAMPLE,
        ),
        compiler=devices.compiler(CONFIG),
        cache=COMPILED,
    message:
        "Compiling shard {wildcards.shard} of the subnets at {wildcards.size} px for {wildcards.device}"
    shell:
        flow.command("{params.compiler:q} --cache {params.cache:q}")


rule time_compiled:
    """Time one shard of compiled probes on an Edge TPU; those that were not compiled are flagged rows.

    The journal goes by the compiled models' content, so a compilation that comes out as before costs no timing.
    """
    input:
        **flow.script("time_compiled"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        probes=rules.compile_probes.output.probes,
        references=rules.compile_probes.output.references,
    output:
        table="results/{space}/{size}/shards/latency-{device}/{shard}.csv",
        session="results/{space}/{size}/shards/latency-{device}/{shard}.json",
    log:
        "results/logs/{space}/{size}/time_compiled-{device}/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/time_compiled-{device}/{shard}.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    threads: jobs.measuring_threads(workflow, CONFIG)
    resources:
        **jobs.measuring(CONFIG),
        **jobs.growing(mem_mb=1000, runtime=60),
    params:
        **flow.script_params("time_compiled"),
        settings=lambda wildcards: flow.settings(
            device=measured(CONFIG, wildcards.device),
            sample=SAMPLE,
        ),
        access=devices.access(CONFIG),
        cache=COMPILED,
        journal=JOURNAL(
            "results/{space}/{size}/journals/latency-{device}/{shard}.jsonl"
        ),
    message:
        "Timing shard {wildcards.shard} of the compiled subnets at {wildcards.size} px on {wildcards.device}"
    shell:
        flow.command(
            "{params.access:q} --cache {params.cache:q} --journal {params.journal:q}"
        )


rule compile_candidates:
    """Check and compile the exported candidates."""
    input:
        **flow.script("compile_candidates"),
        exported="results/{space}/search/{device}/{budget}/{batch}/exported.csv",
        models=ancient("results/{space}/search/{device}/{budget}/{batch}/exported"),
    output:
        compiled_models=directory(
            "results/{space}/search/{device}/{budget}/{batch}/compiled"
        ),
        table="results/{space}/search/{device}/{budget}/{batch}/compiled.csv",
    log:
        "results/logs/{space}/{device}/{budget}/{batch}/compile_candidates.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/{batch}/compile_candidates.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    resources:
        **jobs.growing(mem_mb=1000, runtime=60),
    params:
        **flow.script_params("compile_candidates"),
        settings=lambda wildcards: flow.settings(
            limits=CONFIG.device(wildcards.device).compiler.limits
        ),
        compiler=devices.compiler(CONFIG),
        cache=COMPILED,
    message:
        "Compiling the candidates of {wildcards.batch} for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command("{params.compiler:q} --cache {params.cache:q}")


use rule time_candidates as time_compiled_candidates with:
    input:
        rules.compile_candidates.output.table,
        **flow.script("time_models"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        models=ancient(rules.compile_candidates.output.compiled_models),
        sampled=SAMPLED,
        references=REFERENCES,
    output:
        latencies="results/{space}/search/{device}/{budget}/{batch}/timed.json",
    log:
        "results/logs/{space}/{device}/{budget}/{batch}/time_compiled_candidates.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/{batch}/time_compiled_candidates.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    message:
        "Timing the compiled candidates of {wildcards.batch} for budget {wildcards.budget} on {wildcards.device}"


rule deploy_compiled:
    """Put the winner's compiled file, as it was timed, beside the winner."""
    input:
        **flow.script("deploy_compiled"),
        winner="results/{space}/search/{device}/{budget}/winner.json",
        compiled_models=ancient(
            of_deployable("results/{space}/search/{device}/{budget}/{batch}/compiled")
        ),
        tables=of_deployable(
            "results/{space}/search/{device}/{budget}/{batch}/compiled.csv"
        ),
    output:
        model="results/{space}/deploy/{device}/{budget}/model_edgetpu.tflite",
        summary="results/{space}/deploy/{device}/{budget}/compiled.json",
    log:
        "results/logs/{space}/{device}/{budget}/deploy_compiled.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/deploy_compiled.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("deploy_compiled"),
        settings=flow.settings(),
    message:
        "Deploying the compiled winner for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command()


use rule confirm_together as confirm_compiled_together with:
    input:
        **flow.script("confirm_latency"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        rankings=of_asked(RANKING),
        models=ancient(
            of_asked(
                of_deployable(
                    "results/{space}/search/{device}/{budget}/{batch}/compiled"
                )
            )
        ),
        sampled=SAMPLED,
        references=REFERENCES,
    output:
        latencies=temp("results/{space}/deploy/{device}/together.json"),
    log:
        "results/logs/{space}/{device}/confirm_compiled_together.log",
    benchmark:
        "results/benchmarks/{space}/{device}/confirm_compiled_together.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    message:
        "Confirming the compiled models' latency for all budgets on {wildcards.device} together"


use rule confirm_latency as confirm_compiled_latency with:
    input:
        ancient(rules.confirm_compiled_together.output.latencies),
        **flow.script("confirm_latency"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        rankings=RANKING,
        models=ancient(
            of_deployable("results/{space}/search/{device}/{budget}/{batch}/compiled")
        ),
        sampled=SAMPLED,
        references=REFERENCES,
    output:
        latencies="results/{space}/deploy/{device}/{budget}/latency.json",
    log:
        "results/logs/{space}/{device}/{budget}/confirm_compiled_latency.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/confirm_compiled_latency.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    message:
        "Confirming the compiled models' latency for budget {wildcards.budget} on {wildcards.device}"
