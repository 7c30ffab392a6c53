"""Acquisition: rounds of accuracies measured where searches will go, of all budgets of a device at once.

Latencies are predicted well enough as they are: only accuracies are measured, on the images of the sample.
"""

_ACQUIRED = f"{rounds.ACQUIRED}/{{round}}"


rule acquire_subnets:
    """Choose the subnets of a round; none when the optima of the predictors and the best measured agree."""
    input:
        **flow.script("acquire_subnets"),
        budgets=of_budgets("results/{space}/search/{device}/{budget}/budget.json"),
        accuracy=rounds.acquiring_with(SIZES),
        latency=at_sizes("results/{space}/{size}/predictors/latency-{device}.json"),
        measured=at_sizes("results/{space}/{size}/accuracy.csv"),
        acquired=rounds.acquired_before("accuracy.csv"),
        refit=rounds.acquired_before("refit.json"),
    output:
        subnets=f"{_ACQUIRED}/subnets.csv",
        agreement=f"{_ACQUIRED}/agreement.json",
    log:
        "results/logs/{space}/{device}/acquired/{round}/acquire_subnets.log",
    benchmark:
        "results/benchmarks/{space}/{device}/acquired/{round}/acquire_subnets.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=10),
    params:
        **flow.script_params("acquire_subnets"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            target=CONFIG.predictors.accuracy_target,
            count=CONFIG.refinement.acquisition.subnets,
            agreed_points=CONFIG.refinement.acquisition.agreed_points,
            reserves_percent=CONFIG.search.reserves_percent,
            alike_layers=CONFIG.search.alike_layers,
            caps=flow.caps(CONFIG, wildcards.device),
            seed=CONFIG.search.seed,
        ),
    message:
        "Choosing the subnets of {wildcards.round} of acquisition on {wildcards.device}"
    shell:
        flow.command()


use rule evaluate_subnets as evaluate_acquired with:
    input:
        **flow.script("evaluate_subnets"),
        supernet="results/{space}/supernet.safetensors",
        subnets=f"{_ACQUIRED}/subnets.csv",
        calibration=at_sizes("results/data/{size}/calibration-images.npy"),
        images=at_sizes("results/data/{size}/fit-images.npy"),
        labels="results/data/native/fit-labels.npy",
    output:
        table=f"{_ACQUIRED}/accuracy.csv",
        outcomes=f"{_ACQUIRED}/accuracy.npz",
    log:
        "results/logs/{space}/{device}/acquired/{round}/evaluate_acquired.log",
    benchmark:
        "results/benchmarks/{space}/{device}/acquired/{round}/evaluate_acquired.tsv"
    params:
        settings=flow.settings(
            space=SPACE,
            accuracy=flow.evaluation(CONFIG),
            sample=SAMPLE,
        ),
        journal=JOURNAL(
            "results/{space}/search/{device}/acquired/journals/{round}.jsonl"
        ),
    message:
        "Evaluating the subnets of {wildcards.round} of acquisition on {wildcards.device}"


rule fit_acquired:
    """Fit the accuracies again with all that was acquired, and calibrate by how well the last round was predicted."""
    input:
        **flow.script("fit_acquired"),
        measured=at_sizes("results/{space}/{size}/accuracy.csv"),
        subnets=rounds.acquired_before("subnets.csv", among=1),
        acquired=rounds.acquired_before("accuracy.csv", among=1),
    output:
        predictors=at_sizes(f"{_ACQUIRED}/predictors/{{size}}/accuracy.json"),
        refit=f"{_ACQUIRED}/refit.json",
    log:
        "results/logs/{space}/{device}/acquired/{round}/fit_acquired.log",
    benchmark:
        "results/benchmarks/{space}/{device}/acquired/{round}/fit_acquired.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=5),
    params:
        **flow.script_params("fit_acquired"),
        settings=flow.settings(
            space=SPACE,
            target=CONFIG.predictors.accuracy_target,
            form=CONFIG.predictors.accuracy_form,
            link=CONFIG.predictors.accuracy_link,
            folds=CONFIG.predictors.folds,
            seed=CONFIG.predictors.seed,
            sizes=CONFIG.predictors.accuracy_sizes,
        ),
    message:
        "Fitting the accuracies of {wildcards.round} of acquisition on {wildcards.device}"
    shell:
        flow.command()
