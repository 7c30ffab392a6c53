"""Accuracy: every sampled subnet, with its own batch-norm statistics, on the fit images."""

#: Where one supernet's evaluation of a shard goes: it is the accuracy, or, of several folds, a part of it.
EVALUATED = (
    "results/{space}/{size}/shards/accuracy/{shard}"
    if CONFIG.supernet.folds == 1
    else "results/{space}/{size}/folds/0/{shard}"
)


rule evaluate_subnets:
    """Measure top-1 and the mean probability of the correct class of one shard of subnets.

    The journal keeps what an interrupted job has measured.
    """
    input:
        **flow.script("evaluate_subnets"),
        supernet="results/{space}/supernet.safetensors",
        subnets=ancient("results/{space}/{size}/shards/subnets/{shard}.csv"),
        calibration="results/data/{size}/calibration-images.npy",
        images="results/data/{size}/fit-images.npy",
        labels="results/data/native/fit-labels.npy",
    output:
        table=f"{EVALUATED}.csv",
        outcomes=f"{EVALUATED}.npz",
    log:
        "results/logs/{space}/{size}/evaluate_subnets/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/evaluate_subnets/{shard}.tsv"
    resources:
        **jobs.growing(runtime=240),
        gpu=int(CONFIG.accuracy.device == "cuda"),
        mem_mb=jobs.evaluating(CONFIG),
    params:
        **flow.script_params("evaluate_subnets"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            accuracy=flow.evaluation(CONFIG),
            sample=SAMPLE,
        ),
        device=flow.evaluated_on(CONFIG),
        journal=JOURNAL("results/{space}/{size}/journals/accuracy/{shard}.jsonl"),
    message:
        "Evaluating shard {wildcards.shard} of the subnets at {wildcards.size} px"
    shell:
        flow.command(
            "{params.device:q} --threads {threads} --journal {params.journal:q}"
        )


rule gather_accuracy:
    """Join the shards of one image size and keep the first subnets."""
    input:
        **flow.script("gather_shards"),
        shards=of_shards("results/{space}/{size}/shards/accuracy/{shard}.csv"),
    output:
        table=report(
            "results/{space}/{size}/accuracy.csv",
            caption="../workflow/report/accuracy.rst",
            category="Measurements",
            labels={"measured": "accuracy", "size": "{size} px"},
        ),
    log:
        "results/logs/{space}/{size}/gather_accuracy.log",
    benchmark:
        "results/benchmarks/{space}/{size}/gather_accuracy.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("gather_shards"),
        settings=flow.settings(rows=CONFIG.sampling.subnets),
    message:
        "Gathering the accuracies at {wildcards.size} px"
    shell:
        flow.command()
