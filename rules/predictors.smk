"""Predictors: one accuracy and, per device, one latency regression for every image size."""


rule fit_accuracy:
    """Fit every form to both accuracy targets of one image size, with noise ceilings; keep the one the search uses."""
    input:
        **flow.script("fit_accuracy"),
        table="results/{space}/{size}/accuracy.csv",
        outcomes=of_shards("results/{space}/{size}/shards/accuracy/{shard}.npz"),
    output:
        predictor=report(
            "results/{space}/{size}/predictors/accuracy.json",
            caption="../workflow/report/predictor.rst",
            category="Predictors",
            labels={"predicts": "accuracy", "size": "{size} px"},
        ),
        fits="results/{space}/{size}/predictors/accuracy-fits.json",
    log:
        "results/logs/{space}/{size}/fit_accuracy.log",
    benchmark:
        "results/benchmarks/{space}/{size}/fit_accuracy.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=5),
    params:
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            target=CONFIG.predictors.accuracy_target,
            form=CONFIG.predictors.accuracy_form,
            folds=CONFIG.predictors.folds,
            seed=CONFIG.predictors.seed,
        ),
        code=flow.code_digest("fit_accuracy"),
    message:
        "Fitting the accuracy predictors at {wildcards.size} px"
    shell:
        "python {input.script} --settings {params.settings:q} --image-size {wildcards.size} --table {input.table:q}"
        " --outcomes {input.outcomes:q} --predictor {output.predictor:q} --fits {output.fits:q} 2>&1 | tee {log}"


rule fit_latency:
    """Fit every form to the latencies of one image size on a device; keep the one the search uses."""
    input:
        **flow.script("fit_latency"),
        table="results/{space}/{size}/latency-{device}.csv",
    output:
        predictor=report(
            "results/{space}/{size}/predictors/latency-{device}.json",
            caption="../workflow/report/predictor.rst",
            category="Predictors",
            labels={"predicts": "latency on {device}", "size": "{size} px"},
        ),
        fits="results/{space}/{size}/predictors/latency-{device}-fits.json",
    log:
        "results/logs/{space}/{size}/fit_latency-{device}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/fit_latency-{device}.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=5),
    params:
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            form=CONFIG.predictors.latency_form,
            folds=CONFIG.predictors.folds,
            seed=CONFIG.predictors.seed,
        ),
        code=flow.code_digest("fit_latency"),
    message:
        "Fitting the latency predictors at {wildcards.size} px on {wildcards.device}"
    shell:
        "python {input.script} --settings {params.settings:q} --image-size {wildcards.size} --table {input.table:q}"
        " --predictor {output.predictor:q} --fits {output.fits:q} 2>&1 | tee {log}"


rule compare_accuracy_predictors:
    """Hold our regressions of accuracy and other people's predictors against subnets that none has seen."""
    input:
        **flow.script("compare_predictors"),
        tables=at_sizes("results/{space}/{size}/accuracy.csv"),
    output:
        scores=report(
            "results/{space}/predictors/accuracy-scores.csv",
            caption="../workflow/report/scores.rst",
            category="Predictors",
            labels={"predicts": "accuracy, against rivals", "size": "all"},
        ),
    log:
        "results/logs/{space}/compare_accuracy_predictors.log",
    benchmark:
        "results/benchmarks/{space}/compare_accuracy_predictors.tsv"
    resources:
        **jobs.growing(mem_mb=2000, runtime=60),
    params:
        settings=flow.settings(
            space=SPACE,
            target=CONFIG.predictors.accuracy_target,
            rivals=CONFIG.predictors.rivals,
            seed=CONFIG.predictors.seed,
        ),
        code=flow.code_digest("compare_predictors"),
    message:
        "Comparing predictors of accuracy"
    shell:
        "python {input.script} --settings {params.settings:q} --tables {input.tables:q} --scores {output.scores:q}"
        " 2>&1 | tee {log}"


use rule compare_accuracy_predictors as compare_latency_predictors with:
    input:
        **flow.script("compare_predictors"),
        tables=at_sizes("results/{space}/{size}/latency-{device}.csv"),
    output:
        scores=report(
            "results/{space}/predictors/latency-{device}-scores.csv",
            caption="../workflow/report/scores.rst",
            category="Predictors",
            labels={"predicts": "latency on {device}, against rivals", "size": "all"},
        ),
    log:
        "results/logs/{space}/compare_latency_predictors-{device}.log",
    benchmark:
        "results/benchmarks/{space}/compare_latency_predictors-{device}.tsv"
    params:
        settings=flow.settings(
            space=SPACE,
            target="latency",
            rivals=CONFIG.predictors.rivals,
            seed=CONFIG.predictors.seed,
        ),
        code=flow.code_digest("compare_predictors"),
    message:
        "Comparing predictors of latency on {wildcards.device}"


rule fit_target:
    """Fit every form to a further target on a device, at all image sizes."""
    input:
        **flow.script("fit_target"),
        tables=lambda wildcards: flow.target_tables(CONFIG, wildcards, SIZES),
    output:
        fits=at_sizes("results/{space}/{size}/predictors/{target}-{device}-fits.json"),
    log:
        "results/logs/{space}/fit_{target}-{device}.log",
    benchmark:
        "results/benchmarks/{space}/fit_{target}-{device}.tsv"
    wildcard_constraints:
        target=flow.any_of(FURTHER_TARGETS),
    resources:
        **jobs.growing(mem_mb=1000, runtime=5),
    params:
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            target=CONFIG.predictors.further(wildcards.target),
            folds=CONFIG.predictors.folds,
            seed=CONFIG.predictors.seed,
            **contents.of_files(flow.own_tables(CONFIG, wildcards, SIZES)),
        ),
        code=flow.code_digest("fit_target"),
    message:
        "Fitting {wildcards.target} on {wildcards.device}"
    shell:
        "python {input.script} --settings {params.settings:q} --tables {input.tables:q} --fits {output.fits:q}"
        " 2>&1 | tee {log}"
