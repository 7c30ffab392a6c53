"""Export: the candidates as int8 files, measured for real, ranked, and the confirmed one deployed."""

#: What sampled the device, and what the reference model took then, at the size it has in every session.
SAMPLED = ancient(
    expand(
        "results/{space}/{size}/shards/latency-{device}/{shard}.json",
        size=SIZES[:1],
        shard=SHARDS,
        allow_missing=True,
    )
)


rule export_candidates:
    """Export every candidate to int8 and measure what it answers on the verify split with the runtime that serves it."""
    input:
        **flow.script("export_candidates"),
        supernet="results/{space}/supernet.safetensors",
        candidates="results/{space}/search/{device}/{budget}/{batch}/candidates.csv",
        calibration=at_sizes("results/data/{size}/calibration-images.npy"),
        images=at_sizes("results/data/{size}/verify-images.npy"),
        labels="results/data/native/verify-labels.npy",
        # Of a folder of image files: the classes' names.
        listing=LISTING,
    output:
        models=directory("results/{space}/search/{device}/{budget}/{batch}/exported"),
        table="results/{space}/search/{device}/{budget}/{batch}/exported.csv",
    log:
        "results/logs/{space}/{device}/{budget}/{batch}/export_candidates.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/{batch}/export_candidates.tsv"
    wildcard_constraints:
        batch="|".join(BATCHES),
    resources:
        **jobs.growing(runtime=60),
        # The interpreter and what the ranges are taken of; or TensorFlow and its converter.
        mem_mb=jobs.evaluating(
            CONFIG, more_mb=1500 if CONFIG.export.with_ == "tensorflow" else 500
        ),
    params:
        **flow.script_params("export_candidates"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            accuracy=flow.preparation(CONFIG),
            export=CONFIG.export,
            xnnpack=CONFIG.device(wildcards.device).protocol.xnnpack,
            dataset=CONFIG.data.dataset,
        ),
    message:
        "Exporting the candidates of {wildcards.batch} for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command("--threads {threads}")


rule time_candidates:
    """Time the exported candidates in separate sessions on the device."""
    input:
        "results/{space}/search/{device}/{budget}/{batch}/exported.csv",
        **flow.script("time_models"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        # Of a folder Snakemake compares times only; what is in it stands in the table, which it compares by content.
        models=ancient("results/{space}/search/{device}/{budget}/{batch}/exported"),
        sampled=SAMPLED,
    output:
        latencies="results/{space}/search/{device}/{budget}/{batch}/timed.json",
    log:
        "results/logs/{space}/{device}/{budget}/{batch}/time_candidates.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/{batch}/time_candidates.tsv"
    wildcard_constraints:
        device=flow.any_of(DIRECT),
    threads: jobs.measuring_threads(workflow, CONFIG)
    resources:
        **jobs.measuring(CONFIG),
        **jobs.growing(mem_mb=1000, runtime=30),
    params:
        **flow.script_params("time_models"),
        settings=lambda wildcards: flow.settings(
            device=measured(CONFIG, wildcards.device),
            space=flow.space_at(SPACE, SIZES[:1]),
            sessions=CONFIG.verification.sessions,
            spread_s=CONFIG.verification.spread_s,
        ),
        access=devices.access(CONFIG),
        cache=COMPILED,
    message:
        "Timing the candidates of {wildcards.batch} for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command("{params.access:q} --cache {params.cache:q}")


rule rank_candidates:
    """Rank the candidates whose measured latency keeps the promise, by the goal and what int8 scores.

    Candidates of all rounds, and the twists of the best of them, compete.
    """
    input:
        **flow.script("rank_candidates"),
        **rounds.on_fit_images(CONFIG),
        **rounds.by_round(CONFIG, SIZES),
        budget="results/{space}/search/{device}/{budget}/budget.json",
        candidates=of_batches(
            "results/{space}/search/{device}/{budget}/{batch}/candidates.csv"
        ),
        exported=of_batches(
            "results/{space}/search/{device}/{budget}/{batch}/exported.csv"
        ),
        latencies=of_batches(
            "results/{space}/search/{device}/{budget}/{batch}/timed.json"
        ),
        sampled=at_sizes("results/{space}/{size}/latency-{device}.csv"),
        accuracy=rounds.first_predictors(CONFIG, SIZES),
        latency=at_sizes("results/{space}/{size}/predictors/latency-{device}.json"),
        objective_file=flow.objective_file(CONFIG),
    output:
        table=report(
            "results/{space}/search/{device}/{budget}/candidates.csv",
            caption="../workflow/report/candidates.rst",
            category="Models",
            labels={"device": "{device}", "budget": "{budget}", "file": "candidates"},
        ),
        ranking="results/{space}/search/{device}/{budget}/ranking.json",
    log:
        "results/logs/{space}/{device}/{budget}/rank_candidates.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/rank_candidates.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("rank_candidates"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            objective=CONFIG.search.objective,
            alike_layers=CONFIG.search.alike_layers,
            verification=CONFIG.verification,
            caps=flow.caps(CONFIG, wildcards.device),
            **contents.of_files(flow.objective_file(CONFIG)),
        ),
    message:
        "Ranking the candidates for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command("--device {wildcards.device}")


rule deploy_winner:
    """Deploy the candidate that new sessions confirmed, else the closest, which the verdict then marks."""
    input:
        **flow.script("deploy_winner"),
        ranking=RANKING,
        latencies="results/{space}/deploy/{device}/{budget}/latency.json",
        models=ancient(
            of_deployable("results/{space}/search/{device}/{budget}/{batch}/exported")
        ),
    output:
        winner="results/{space}/search/{device}/{budget}/winner.json",
        model="results/{space}/deploy/{device}/{budget}/model.tflite",
    log:
        "results/logs/{space}/{device}/{budget}/deploy_winner.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/deploy_winner.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("deploy_winner"),
        settings=flow.settings(),
    message:
        "Deploying the winner for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command()
