"""Validation: candidates confirmed in new sessions on the device, and the deployed files on the untouched test split."""

#: Sessions in which a candidate of a budget was timed; each stands in the journal of every budget that it concerns.
CONFIRMED = JOURNAL("results/{space}/journals/confirmed-{device}/{budget}.jsonl")


rule confirm_together:
    """Time the best candidates of all budgets in common new sessions, whose spacing is waited once.

    The journals of the budgets keep them: their own jobs find there what they need, and time what is missing.
    """
    input:
        **flow.script("confirm_latency"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        rankings=of_asked(RANKING),
        # Of a folder Snakemake compares times only; what is in it stands in the ranking.
        models=ancient(
            of_asked(
                of_deployable(
                    "results/{space}/search/{device}/{budget}/{batch}/exported"
                )
            )
        ),
        sampled=SAMPLED,
    output:
        # Made where a budget is to be confirmed, and gone when all are: no change of the budgets runs it for itself.
        latencies=temp("results/{space}/deploy/{device}/together.json"),
    log:
        "results/logs/{space}/{device}/confirm_together.log",
    benchmark:
        "results/benchmarks/{space}/{device}/confirm_together.tsv"
    wildcard_constraints:
        device=flow.any_of(DIRECT),
    threads: jobs.measuring_threads(workflow, CONFIG)
    resources:
        **jobs.measuring(CONFIG),
        **jobs.growing(mem_mb=1000, runtime=240),
    params:
        **flow.script_params("confirm_latency"),
        settings=lambda wildcards: flow.settings(
            device=measured(CONFIG, wildcards.device),
            space=flow.space_at(SPACE, SIZES[:1]),
            sessions=CONFIG.validation.sessions,
            most_sessions=CONFIG.validation.most_sessions,
            spread_s=CONFIG.validation.spread_s,
            most_candidates=CONFIG.validation.most_candidates,
        ),
        access=devices.access(CONFIG),
        cache=COMPILED,
        confirms="all",
        budgets=of_asked("{budget}"),
        journal=of_asked(CONFIRMED),
    message:
        "Confirming the latency for all budgets on {wildcards.device} together"
    shell:
        flow.command(
            "{params.access:q} --cache {params.cache:q} --confirms {params.confirms} --budgets {params.budgets:q}"
            " --journals {params.journal:q}"
        )


use rule confirm_together as confirm_latency with:
    input:
        ancient(rules.confirm_together.output.latencies),
        **flow.script("confirm_latency"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        rankings=RANKING,
        models=ancient(
            of_deployable("results/{space}/search/{device}/{budget}/{batch}/exported")
        ),
        sampled=SAMPLED,
    output:
        latencies="results/{space}/deploy/{device}/{budget}/latency.json",
    log:
        "results/logs/{space}/{device}/{budget}/confirm_latency.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/confirm_latency.tsv"
    params:
        confirms="one",
        budgets="{budget}",
        journal=CONFIRMED,
    message:
        "Confirming the latency for budget {wildcards.budget} on {wildcards.device}"


rule validate_accuracy:
    """Measure the deployed model on the test split, and the same subnet in float beside it."""
    input:
        **flow.script("validate_accuracy"),
        **rounds.finished_weights(CONFIG),
        supernet="results/{space}/supernet.safetensors",
        winner="results/{space}/search/{device}/{budget}/winner.json",
        model="results/{space}/deploy/{device}/{budget}/model.tflite",
        calibration=at_sizes("results/data/{size}/calibration-images.npy"),
        images=at_sizes("results/data/{size}/test-images.npy"),
        labels="results/data/native/test-labels.npy",
    output:
        result="results/{space}/deploy/{device}/{budget}/accuracy.json",
        answers="results/{space}/deploy/{device}/{budget}/answers.npy",
    log:
        "results/logs/{space}/{device}/{budget}/validate_accuracy.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/validate_accuracy.tsv"
    resources:
        **jobs.growing(runtime=30),
        mem_mb=jobs.evaluating(CONFIG, more_mb=500),
    params:
        **flow.script_params("validate_accuracy"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            accuracy=flow.preparation(CONFIG),
            xnnpack=CONFIG.device(wildcards.device).protocol.xnnpack,
        ),
    message:
        "Validating the accuracy for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command("--threads {threads}")


rule prepare_winner:
    """Write the deployed model in the form that a kind of device serves, as it was timed."""
    input:
        **flow.script("prepare_winner"),
        # What is in the model below, which may be too large for Snakemake to compare by content.
        winner="results/{space}/search/{device}/{budget}/winner.json",
        exported=ancient("results/{space}/deploy/{device}/{budget}/model.tflite"),
    output:
        model="results/{space}/deploy/{device}/{budget}/{prepared}",
    log:
        "results/logs/{space}/{device}/{budget}/prepare_winner-{prepared}.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/prepare_winner-{prepared}.tsv"
    wildcard_constraints:
        device=flow.any_of(PREPARED),
        prepared=flow.any_of(map(re.escape, PREPARED.values())),
    resources:
        **jobs.growing(mem_mb=1000, runtime=5),
    params:
        **flow.script_params("prepare_winner"),
        settings=lambda wildcards: flow.settings(
            device=measured(CONFIG, wildcards.device)
        ),
    message:
        "Preparing the deployed model for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command()


rule validate_on_device:
    """Measure the deployed file's top-1 on the test split on the device itself, with the runtime that will serve it."""
    input:
        **flow.script("validate_on_device"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        winner="results/{space}/search/{device}/{budget}/winner.json",
        model=lambda wildcards: devices.deployed(CONFIG.device(wildcards.device)),
        sampled=SAMPLED,
        images=at_sizes("results/data/{size}/test-images.npy"),
        labels="results/data/native/test-labels.npy",
    output:
        result="results/{space}/deploy/{device}/{budget}/accuracy-on-device.json",
    log:
        "results/logs/{space}/{device}/{budget}/validate_on_device.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/validate_on_device.tsv"
    wildcard_constraints:
        device=flow.any_of(SERVING),
    threads: jobs.measuring_threads(workflow, CONFIG)
    resources:
        **jobs.measuring(CONFIG),
        **jobs.growing(mem_mb=1000, runtime=240),
    params:
        **flow.script_params("validate_on_device"),
        settings=lambda wildcards: flow.settings(
            device=measured(CONFIG, wildcards.device)
        ),
        access=devices.access(CONFIG),
        journal=JOURNAL("results/{space}/journals/answers-{device}/{budget}.jsonl"),
    message:
        "Validating the accuracy for budget {wildcards.budget} on {wildcards.device} itself"
    shell:
        flow.command("{params.access:q} --journal {params.journal:q}")


rule judge_model:
    """Say whether the deployed model keeps its promises."""
    input:
        **flow.script("judge_model"),
        budget="results/{space}/search/{device}/{budget}/budget.json",
        winner="results/{space}/search/{device}/{budget}/winner.json",
        accuracy="results/{space}/deploy/{device}/{budget}/accuracy.json",
        latency="results/{space}/deploy/{device}/{budget}/latency.json",
        on_device=lambda wildcards: devices.deployed_files(
            wildcards.device, SERVING, "accuracy-on-device.json"
        ),
        compiled=lambda wildcards: devices.deployed_files(
            wildcards.device, EDGETPU + ETHOSU, "compiled.json"
        ),
        labels="results/data/native/test-labels.npy",
        # Of a folder of image files: the classes' names.
        listing=LISTING,
    output:
        validation=report(
            "results/{space}/deploy/{device}/{budget}/validation.json",
            caption="../workflow/report/verdict.rst",
            category="Models",
            labels={"device": "{device}", "budget": "{budget}", "file": "verdict"},
        ),
    log:
        "results/logs/{space}/{device}/{budget}/judge_model.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/judge_model.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("judge_model"),
        settings=flow.settings(
            max_drop_percent=CONFIG.validation.max_drop_percent,
            dataset=CONFIG.data.dataset,
            classes=SPACE.classes,
        ),
    message:
        "Judging the model for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command()


rule compare_baselines:
    """Compare the deployed subnets with the best measured one and with random searches, on the test split."""
    input:
        **flow.script("compare_baselines"),
        supernet="results/{space}/supernet.safetensors",
        budgets=of_budgets("results/{space}/search/{device}/{budget}/budget.json"),
        exported=of_batches(
            "results/{space}/search/{device}/{budget}/{batch}/exported.csv",
            budget=BUDGETS,
        ),
        winners=of_budgets("results/{space}/search/{device}/{budget}/winner.json"),
        acquired=rounds.of_acquired(CONFIG, "accuracy.csv"),
        accuracy_predictors=rounds.first_predictors(CONFIG, SIZES),
        latency_predictors=at_sizes(
            "results/{space}/{size}/predictors/latency-{device}.json"
        ),
        accuracy_tables=at_sizes(
            "results/{space}/{size}/shards/accuracy/{shard}.csv", shard=ALL_SHARDS
        ),
        latency_tables=at_sizes(
            "results/{space}/{size}/shards/latency-{device}/{shard}.csv",
            shard=ALL_SHARDS,
        ),
        calibration=at_sizes("results/data/{size}/calibration-images.npy"),
        images=at_sizes("results/data/{size}/test-images.npy"),
        labels="results/data/native/test-labels.npy",
        objective_file=flow.objective_file(CONFIG),
    output:
        comparison=report(
            "results/{space}/baselines/{device}.json",
            caption="../workflow/report/baselines.rst",
            category="Models",
            labels={
                "device": "{device}",
                "budget": "all",
                "file": "against baselines",
            },
        ),
    log:
        "results/logs/{space}/{device}/compare_baselines.log",
    benchmark:
        "results/benchmarks/{space}/{device}/compare_baselines.tsv"
    resources:
        **jobs.growing(runtime=60),
        mem_mb=jobs.evaluating(CONFIG, more_mb=500),
    params:
        **flow.script_params("compare_baselines"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            accuracy=flow.preparation(CONFIG),
            baselines=CONFIG.baselines,
            objective=CONFIG.search.objective,
            alike_layers=CONFIG.search.alike_layers,
            caps=flow.caps(CONFIG, wildcards.device),
            subnets=CONFIG.sampling.subnets,
            **devices.memory_caps(CONFIG, wildcards.device),
            **contents.of_files(flow.objective_file(CONFIG)),
        ),
    message:
        "Comparing with the baselines on {wildcards.device}"
    shell:
        flow.command("--threads {threads}")


rule check_promises:
    """Say which promises no model keeps, last of all, and fail if the config says so."""
    input:
        # So that all else is finished when it fails.
        "results/report.html",
        expand(
            "results/{space}/deploy/{device}/{budget}/model.tflite",
            device=DEVICES,
            budget=BUDGETS,
            allow_missing=True,
        ),
        expand(
            "results/{space}/deploy/{device}/{budget}/model_edgetpu.tflite",
            device=EDGETPU,
            budget=BUDGETS,
            allow_missing=True,
        ),
        expand(
            "results/{space}/deploy/{device}/{budget}/model_vela.tflite",
            device=ETHOSU,
            budget=BUDGETS,
            allow_missing=True,
        ),
        **flow.script("check_promises"),
        verdicts=expand(
            "results/{space}/deploy/{device}/{budget}/validation.json",
            device=DEVICES,
            budget=BUDGETS,
            allow_missing=True,
        ),
    output:
        promises="results/{space}/promises.json",
    log:
        "results/logs/{space}/check_promises.log",
    benchmark:
        "results/benchmarks/{space}/check_promises.tsv"
    retries: 0
    localrule: True
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("check_promises"),
        settings=flow.settings(unkept=CONFIG.validation.unkept),
    message:
        "Checking the promises"
    shell:
        flow.command()
