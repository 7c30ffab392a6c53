"""Predictors: one accuracy and, per device, one latency regression for every image size, fitted apart or together."""

if CONFIG.predictors.accuracy_sizes == "apart":

    rule fit_accuracy:
        """Fit every form to both accuracy targets of one image size, with noise ceilings; keep the one the search uses."""
        input:
            **flow.script("fit_accuracy"),
            table="results/{space}/{size}/accuracy.csv",
            # Of which image each subnet got right a table of the user's says nothing.
            outcomes=of_shards("results/{space}/{size}/shards/accuracy/{shard}.npz")
            * CONFIG.verifies,
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
            **flow.script_params("fit_accuracy"),
            settings=lambda wildcards: flow.settings(
                space=flow.space_at(SPACE, [int(wildcards.size)]),
                target=CONFIG.predictors.accuracy_target,
                form=CONFIG.predictors.accuracy_form,
                link=CONFIG.predictors.accuracy_link,
                folds=CONFIG.predictors.folds,
                seed=CONFIG.predictors.seed,
            ),
        message:
            "Fitting the accuracy predictors at {wildcards.size} px"
        shell:
            flow.command("--image-size {wildcards.size}")

else:

    rule fit_accuracy_together:
        """Fit every form to both accuracy targets of all image sizes together, and beside that each size apart."""
        input:
            **flow.script("fit_accuracy_together"),
            tables=at_sizes("results/{space}/{size}/accuracy.csv"),
            # Size by size; of which image each subnet got right a table of the user's says nothing.
            outcomes=expand(
                "results/{space}/{size}/shards/accuracy/{shard}.npz",
                size=SIZES,
                shard=SHARDS,
                allow_missing=True,
            )
            * CONFIG.verifies,
        output:
            predictors=report(
                at_sizes("results/{space}/{size}/predictors/accuracy.json"),
                caption="../workflow/report/predictor.rst",
                category="Predictors",
                labels={"predicts": "accuracy", "size": "all"},
            ),
            fits=at_sizes("results/{space}/{size}/predictors/accuracy-fits.json"),
        log:
            "results/logs/{space}/fit_accuracy_together.log",
        benchmark:
            "results/benchmarks/{space}/fit_accuracy_together.tsv"
        resources:
            **jobs.growing(mem_mb=1000, runtime=10),
        params:
            **flow.script_params("fit_accuracy_together"),
            settings=flow.settings(
                space=SPACE,
                target=CONFIG.predictors.accuracy_target,
                form=CONFIG.predictors.accuracy_form,
                link=CONFIG.predictors.accuracy_link,
                folds=CONFIG.predictors.folds,
                seed=CONFIG.predictors.seed,
            ),
        message:
            "Fitting the accuracy predictors of all image sizes together"
        shell:
            flow.command()


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
    wildcard_constraints:
        device=flow.any_of(TIMED_IN_FULL),
    resources:
        **jobs.growing(mem_mb=1000, runtime=5),
    params:
        **flow.script_params("fit_latency"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            form=CONFIG.predictors.latency_form,
            folds=CONFIG.predictors.folds,
            seed=CONFIG.predictors.seed,
        ),
    message:
        "Fitting the latency predictors at {wildcards.size} px on {wildcards.device}"
    shell:
        flow.command("--image-size {wildcards.size}")


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
        **flow.script_params("fit_target"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            target=CONFIG.predictors.further(wildcards.target),
            folds=CONFIG.predictors.folds,
            seed=CONFIG.predictors.seed,
            **contents.of_files(flow.own_tables(CONFIG, wildcards, SIZES)),
        ),
    message:
        "Fitting {wildcards.target} on {wildcards.device}"
    shell:
        flow.command()
