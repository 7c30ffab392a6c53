"""Finishing: the winner's own training, from the weights that it inherits, where the config asks for it."""


rule finish_winner:
    """Train a budget's best verified candidate, and rank it first where its int8 file is better on the verify split.

    What was trained is kept beside the journals, by architecture: budgets with one winner train it once, and an
    interrupted training continues.
    """
    input:
        **flow.script("finish_winner"),
        supernet="results/{space}/supernet.safetensors",
        ranking="results/{space}/search/{device}/{budget}/ranking.json",
        # Of a folder Snakemake compares times only; what is in it stands in the ranking.
        models=ancient(
            of_batches("results/{space}/search/{device}/{budget}/{batch}/exported")
        ),
        train_images=f"results/data/native/train-images.{CONFIG.data.form}",
        train_labels="results/data/native/train-labels.npy",
        calibration=at_sizes("results/data/{size}/calibration-images.npy"),
        verify_images=at_sizes("results/data/{size}/verify-images.npy"),
        verify_labels="results/data/native/verify-labels.npy",
        # Of a folder of image files: the classes' names.
        listing=LISTING,
    output:
        exported=directory("results/{space}/search/{device}/{budget}/finished/exported"),
        table="results/{space}/search/{device}/{budget}/finished/exported.csv",
        weights="results/{space}/search/{device}/{budget}/finished/supernet.safetensors",
        finished="results/{space}/search/{device}/{budget}/finished/ranking.json",
    log:
        "results/logs/{space}/{device}/{budget}/finish_winner.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/finish_winner.tsv"
    # A GPU waits for the processors that decode its images.
    threads: max(1, 8 * min(1, CONFIG.supernet.gpus))
    resources:
        **jobs.growing(runtime=1440),
        gpu=min(1, CONFIG.supernet.gpus),
        mem_mb=jobs.evaluating(CONFIG, more_mb=4000),
    params:
        **flow.script_params("finish_winner"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            accuracy=flow.preparation(CONFIG),
            export=CONFIG.export,
            finishing=CONFIG.finishing,
            smallest_crop=CONFIG.supernet.training.smallest_crop,
            class_weights=CONFIG.supernet.training.class_weights,
            symmetry=CONFIG.supernet.training.symmetry,
            view=CONFIG.data.reading(SPACE.image_channels),
            xnnpack=CONFIG.device(wildcards.device).protocol.xnnpack,
            max_drop_percent=CONFIG.validation.max_drop_percent,
            chosen_by=CONFIG.verification.chosen_by,
            dataset=CONFIG.data.dataset,
        ),
        kept_in=JOURNAL("results/{space}/journals/finishing"),
    message:
        "Finishing the winner for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command(
            "--kept-in {params.kept_in:q} --threads {threads} --gpus {resources.gpu}"
        )
