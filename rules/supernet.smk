"""Supernet: a given checkpoint that fits the space, or one trained here, from random weights or a donor's."""

if CONFIG.supernet.trained:

    #: What a training depends on besides its images.
    TRAINING = dict(
        space=SPACE,
        training=CONFIG.supernet.training,
        view=CONFIG.data.reading(SPACE.image_channels),
        **contents.of_files([*flow.donor(CONFIG).values()]),
        **early_stop.leaves(CONFIG, CONFIG.supernet.training),
    )

    rule train_supernet:
        """Train phase by phase; the state file is the journal of an interrupted training.

        GPUs are a resource, not a param: what is trained does not depend on how many share it out.
        """
        input:
            **flow.script("train_supernet"),
            **flow.donor(CONFIG),
            **early_stop.inputs(
                CONFIG.supernet.training,
                at_sizes("results/data/{size}/calibration-images.npy"),
                at_sizes("results/data/{size}/verify-images.npy"),
            ),
            images=f"results/data/native/train-images.{CONFIG.data.form}",
            labels="results/data/native/train-labels.npy",
            # Of a folder of image files: the classes' names.
            listing=LISTING,
        output:
            supernet="results/{space}/supernet.safetensors",
        log:
            "results/logs/{space}/train_supernet.log",
        benchmark:
            "results/benchmarks/{space}/train_supernet.tsv"
        # Everything waits for it; of rivals, which train as long, only the last comparison does.
        priority: 1
        # Each GPU waits for the processors that decode its images.
        threads: max(1, 8 * CONFIG.supernet.gpus)
        resources:
            **jobs.growing(mem_mb=4000 + 8000 * CONFIG.supernet.gpus, runtime=1440),
            gpu=CONFIG.supernet.gpus,
            # Each of a GPU's processes and of its readers holds the list of images.
        params:
            **flow.script_params("train_supernet"),
            settings=flow.settings(**TRAINING),
            state=JOURNAL("results/{space}/journals/training.pt"),
        message:
            "Training the supernet of space {wildcards.space}"
        shell:
            "several=$([ {resources.gpu} -le 1 ] || echo -m torch.distributed.run --standalone --nproc-per-node {resources.gpu})"
            "; python $several {input.script} --settings {params.settings:q} --state {params.state:q}"
            " --threads {threads} --gpus {resources.gpu} {params.files} 2>&1 | tee {log:q}"

else:

    rule take_checkpoint:
        """Check that the given checkpoint is of this space, and take it as the supernet."""
        input:
            **flow.script("take_checkpoint"),
            checkpoint=flow.checkpoint(CONFIG),
            listing=LISTING,
        output:
            supernet="results/{space}/supernet.safetensors",
        log:
            "results/logs/{space}/take_checkpoint.log",
        benchmark:
            "results/benchmarks/{space}/take_checkpoint.tsv"
        resources:
            **jobs.growing(mem_mb=1000, runtime=10),
        params:
            **flow.script_params("take_checkpoint"),
            settings=lambda wildcards: flow.settings(
                space=flow.shape_of(SPACE),
                **contents.of_files([flow.checkpoint(CONFIG)]),
            ),
        message:
            "Taking {input.checkpoint} as the supernet of space {wildcards.space}"
        shell:
            flow.command()
