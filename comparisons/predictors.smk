"""Other people's predictors beside our regressions, on the same measurements: `snakemake compare_predictors`."""

from foxnas.predictor.config import RivalsConfig

#: Devices of which there are enough measurements to learn from.
LEARNT = [device for device in DEVICES if device in TIMED_IN_FULL]
COMPARING = flow.BASE / "comparisons" / "scripts"
RIVALS = CONFIG.predictors.rivals or RivalsConfig()


rule compare_accuracy_predictors:
    """Hold our regressions of accuracy and other people's predictors against subnets that none has seen."""
    input:
        **flow.script("score_predictors", COMPARING),
        tables=at_sizes("results/{space}/{size}/accuracy.csv"),
    output:
        scores=report(
            "results/{space}/predictors/accuracy-scores.csv",
            caption="captions/scores.rst",
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
        **flow.script_params("score_predictors", COMPARING),
        settings=flow.settings(
            space=SPACE,
            target=CONFIG.predictors.accuracy_target,
            rivals=RIVALS,
            seed=CONFIG.predictors.seed,
        ),
    message:
        "Comparing predictors of accuracy"
    shell:
        flow.command()


use rule compare_accuracy_predictors as compare_latency_predictors with:
    input:
        **flow.script("score_predictors", COMPARING),
        tables=at_sizes("results/{space}/{size}/latency-{device}.csv"),
    output:
        scores=report(
            "results/{space}/predictors/latency-{device}-scores.csv",
            caption="captions/scores.rst",
            category="Predictors",
            labels={"predicts": "latency on {device}, against rivals", "size": "all"},
        ),
    log:
        "results/logs/{space}/compare_latency_predictors-{device}.log",
    benchmark:
        "results/benchmarks/{space}/compare_latency_predictors-{device}.tsv"
    params:
        **flow.script_params("score_predictors", COMPARING),
        settings=flow.settings(
            space=SPACE,
            target="latency",
            rivals=RIVALS,
            seed=CONFIG.predictors.seed,
        ),
    message:
        "Comparing predictors of latency on {wildcards.device}"


rule compare_predictors:
    """Write the page that shows how all predictors do, for every device."""
    input:
        **flow.script("compare_predictors", COMPARING),
        accuracy=f"results/{SPACE.name}/predictors/accuracy-scores.csv",
        latency=expand(
            "results/{space}/predictors/latency-{device}-scores.csv",
            space=SPACE.name,
            device=LEARNT,
        ),
    output:
        page=report(
            f"results/{SPACE.name}/predictors.html",
            caption="captions/predictors.rst",
            category="Page",
            labels={"file": "predictors compared"},
        ),
    log:
        f"results/logs/{SPACE.name}/compare_predictors.log",
    benchmark:
        f"results/benchmarks/{SPACE.name}/compare_predictors.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=10),
    params:
        **flow.script_params("compare_predictors", COMPARING),
        settings=flow.settings(
            space=SPACE.name,
            devices=LEARNT,
            accuracy_target=CONFIG.predictors.accuracy_target,
            accuracy_form=CONFIG.predictors.accuracy_form,
            latency_form=CONFIG.predictors.latency_form,
        ),
    message:
        "Showing how the predictors compare"
    shell:
        flow.command()
