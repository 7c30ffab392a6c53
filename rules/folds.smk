"""Folds: further supernets, each trained with the fit images in place of others, which it evaluates subnets on."""

#: The first fold is the supernet that is deployed from, and the fit split.
FOLDS = range(1, CONFIG.supernet.folds)


rule swap_fold:
    """Swap the fit images with as many of the train split, other ones for each fold."""
    input:
        **flow.script("swap_fold"),
        train_images=f"results/data/native/train-images.{CONFIG.data.form}",
        train_labels="results/data/native/train-labels.npy",
        fit_images=f"results/data/native/fit-images.{CONFIG.data.form}",
        fit_labels="results/data/native/fit-labels.npy",
    output:
        train_images_out=f"results/data/folds/{{fold}}/train-images.{CONFIG.data.form}",
        train_labels_out="results/data/folds/{fold}/train-labels.npy",
        fit_images_out=f"results/data/folds/{{fold}}/fit-images.{CONFIG.data.form}",
        fit_labels_out="results/data/folds/{fold}/fit-labels.npy",
    log:
        "results/logs/folds/{fold}/swap_fold.log",
    benchmark:
        "results/benchmarks/folds/{fold}/swap_fold.tsv"
    priority: DECODING_PRIORITY
    threads: DECODING_THREADS
    resources:
        **jobs.growing(mem_mb=2000, runtime=60),
    params:
        **flow.script_params("swap_fold"),
        settings=flow.settings(view=CONFIG.data.reading(SPACE.image_channels)),
    message:
        "Swapping the images of fold {wildcards.fold}"
    shell:
        flow.command("--fold {wildcards.fold} --threads {threads}")


rule resize_fold:
    """Resize the evaluated and the calibration images of one fold to one image size."""
    input:
        **flow.script("resize_fold"),
        train=rules.swap_fold.output.train_images_out,
        fit=rules.swap_fold.output.fit_images_out,
    output:
        calibration_out="results/data/folds/{fold}/{size}/calibration-images.npy",
        fit_out="results/data/folds/{fold}/{size}/fit-images.npy",
    log:
        "results/logs/folds/{fold}/{size}/resize_fold.log",
    benchmark:
        "results/benchmarks/folds/{fold}/{size}/resize_fold.tsv"
    priority: DECODING_PRIORITY
    threads: DECODING_THREADS
    resources:
        **jobs.growing(mem_mb=2000, runtime=60),
        # What all sizes of the fold take on the disk; not a param, since another size must not touch this one.
        whole_mb=flow.fold_mb(CONFIG),
    params:
        **flow.script_params("resize_fold"),
        settings=flow.settings(
            calibration=CONFIG.accuracy.recalibration_images,
            view=CONFIG.data.view(SPACE.image_channels),
        ),
    message:
        "Resizing the images of fold {wildcards.fold} to {wildcards.size} px"
    shell:
        flow.command(
            "--size {wildcards.size} --whole-mb {resources.whole_mb} --threads {threads}"
        )


use rule train_supernet as train_fold with:
    input:
        **flow.script("train_supernet"),
        **flow.donor(CONFIG),
        **early_stop.inputs(
            CONFIG.supernet.training,
            at_sizes(rules.resize_fold.output.calibration_out),
            at_sizes("results/data/{size}/verify-images.npy"),
        ),
        images=rules.swap_fold.output.train_images_out,
        labels=rules.swap_fold.output.train_labels_out,
        listing=LISTING,
    output:
        supernet="results/{space}/folds/{fold}/supernet.safetensors",
    log:
        "results/logs/{space}/folds/{fold}/train_fold.log",
    benchmark:
        "results/benchmarks/{space}/folds/{fold}/train_fold.tsv"
    params:
        **flow.script_params("train_supernet"),
        settings=flow.settings(**TRAINING),
        # Beside the state what was trained is kept, one of it in a folder.
        state=JOURNAL("results/{space}/journals/folds/{fold}/training.pt"),
    message:
        "Training the supernet of fold {wildcards.fold} of space {wildcards.space}"


use rule evaluate_subnets as evaluate_fold with:
    input:
        **flow.script("evaluate_subnets"),
        supernet=rules.train_fold.output.supernet,
        subnets=ancient("results/{space}/{size}/shards/subnets/{shard}.csv"),
        calibration=rules.resize_fold.output.calibration_out,
        images=rules.resize_fold.output.fit_out,
        labels=rules.swap_fold.output.fit_labels_out,
    output:
        table="results/{space}/{size}/folds/{fold}/{shard}.csv",
        outcomes="results/{space}/{size}/folds/{fold}/{shard}.npz",
    log:
        "results/logs/{space}/{size}/evaluate_fold/{fold}/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/evaluate_fold/{fold}/{shard}.tsv"
    params:
        **flow.script_params("evaluate_subnets"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            accuracy=flow.evaluation(CONFIG),
            sample=SAMPLE,
        ),
        device=flow.evaluated_on(CONFIG),
        journal=JOURNAL(
            "results/{space}/{size}/journals/folds/{fold}/accuracy/{shard}.jsonl"
        ),
    message:
        "Evaluating shard {wildcards.shard} at {wildcards.size} px with fold {wildcards.fold}"


rule pool_folds:
    """Join what the supernets of all folds say of one shard of subnets."""
    input:
        **flow.script("pool_folds"),
        tables=[
            rules.evaluate_subnets.output.table,
            *expand(
                "results/{space}/{size}/folds/{fold}/{shard}.csv",
                fold=FOLDS,
                allow_missing=True,
            ),
        ],
        parts=[
            rules.evaluate_subnets.output.outcomes,
            *expand(
                "results/{space}/{size}/folds/{fold}/{shard}.npz",
                fold=FOLDS,
                allow_missing=True,
            ),
        ],
    output:
        table="results/{space}/{size}/shards/accuracy/{shard}.csv",
        outcomes="results/{space}/{size}/shards/accuracy/{shard}.npz",
    log:
        "results/logs/{space}/{size}/pool_folds/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/pool_folds/{shard}.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=5),
    params:
        **flow.script_params("pool_folds"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]), sample=SAMPLE
        ),
    message:
        "Joining the folds of shard {wildcards.shard} at {wildcards.size} px"
    shell:
        flow.command()
