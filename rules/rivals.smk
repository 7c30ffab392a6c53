"""Rivals: off-the-shelf networks, trained on the same images, and timed in the same sessions as the deployed models."""

#: By the name of each network, the file of its weights, if it has one.
OFF_THE_SHELF = flow.rivals(CONFIG)
RIVAL_SIZES = CONFIG.rivals.sizes(SPACE)
#: Where they are compared: on devices that time a file as it is.
WITH_RIVALS = DIRECT if OFF_THE_SHELF else []
of_rivals = partial(expand, rival=OFF_THE_SHELF, size=RIVAL_SIZES, allow_missing=True)


if WITH_RIVALS:

    rule train_rival:
        """Train an off-the-shelf network at one image size; the state file is the journal of an interrupted training."""
        input:
            **flow.script("train_supernet"),
            **early_stop.inputs(
                CONFIG.supernet.training,
                ["results/data/{size}/calibration-images.npy"],
                ["results/data/{size}/verify-images.npy"],
            ),
            donor=lambda wildcards: OFF_THE_SHELF[wildcards.rival],
            images=f"results/data/native/train-images.{CONFIG.data.form}",
            labels="results/data/native/train-labels.npy",
        output:
            supernet="results/{space}/rivals/networks/{rival}/{size}/network.safetensors",
        log:
            "results/logs/{space}/rivals/{rival}/{size}/train_rival.log",
        benchmark:
            "results/benchmarks/{space}/rivals/{rival}/{size}/train_rival.tsv"
        wildcard_constraints:
            rival=flow.any_of(OFF_THE_SHELF),
        threads: max(1, 8 * CONFIG.supernet.gpus)
        resources:
            **jobs.growing(mem_mb=4000 + 8000 * CONFIG.supernet.gpus, runtime=1440),
            gpu=CONFIG.supernet.gpus,
        params:
            **flow.script_params("train_supernet"),
            settings=lambda wildcards: flow.settings(
                space=CONFIG.rivals.network(wildcards.rival).at(
                    int(wildcards.size), SPACE.classes
                ),
                training=CONFIG.rivals.recipe(
                    CONFIG.rivals.network(wildcards.rival), CONFIG.supernet.training
                ),
                view=CONFIG.data.reading(SPACE.image_channels),
                **contents.of_files(OFF_THE_SHELF[wildcards.rival]),
                **early_stop.leaves(
                    CONFIG,
                    CONFIG.rivals.recipe(
                        CONFIG.rivals.network(wildcards.rival),
                        CONFIG.supernet.training,
                    ),
                ),
            ),
            # A folder each: what was trained is kept beside the journal.
            state=JOURNAL("results/{space}/journals/rivals/{rival}-{size}/training.pt"),
        message:
            "Training {wildcards.rival} at {wildcards.size} px"
        shell:
            "several=$([ {resources.gpu} -le 1 ] || echo -m torch.distributed.run --standalone --nproc-per-node {resources.gpu})"
            "; python $several {input.script} --settings {params.settings:q} --state {params.state:q}"
            " --threads {threads} --gpus {resources.gpu} {params.files} 2>&1 | tee {log:q}"

    rule export_rival:
        """Export an off-the-shelf network to int8, its batch norms calibrated as those of subnets are."""
        input:
            **flow.script("export_rival"),
            network="results/{space}/rivals/networks/{rival}/{size}/network.safetensors",
            calibration="results/data/{size}/calibration-images.npy",
            images="results/data/{size}/verify-images.npy",
            labels="results/data/native/verify-labels.npy",
        output:
            result="results/{space}/rivals/networks/{rival}/{size}/exported.json",
            model="results/{space}/rivals/networks/{rival}/{size}/model.tflite",
        log:
            "results/logs/{space}/rivals/{rival}/{size}/export_rival.log",
        benchmark:
            "results/benchmarks/{space}/rivals/{rival}/{size}/export_rival.tsv"
        wildcard_constraints:
            rival=flow.any_of(OFF_THE_SHELF),
        resources:
            **jobs.growing(runtime=60),
            mem_mb=jobs.evaluating_rival(
                CONFIG, more_mb=1500 if CONFIG.export.with_ == "tensorflow" else 500
            ),
        params:
            **flow.script_params("export_rival"),
            settings=lambda wildcards: flow.settings(
                space=CONFIG.rivals.network(wildcards.rival).at(
                    int(wildcards.size), SPACE.classes
                ),
                accuracy=flow.preparation(CONFIG),
                export=CONFIG.export,
            ),
        message:
            "Exporting {wildcards.rival} at {wildcards.size} px"
        shell:
            flow.command("--threads {threads}")

    rule validate_rival:
        """Measure an off-the-shelf network's int8 file on the verify and the test split, as a deployed model's is."""
        input:
            **flow.script("validate_rival"),
            model="results/{space}/rivals/networks/{rival}/{size}/model.tflite",
            verify_images="results/data/{size}/verify-images.npy",
            verify_labels="results/data/native/verify-labels.npy",
            test_images="results/data/{size}/test-images.npy",
            test_labels="results/data/native/test-labels.npy",
        output:
            result="results/{space}/rivals/{device}/{rival}/{size}/accuracy.json",
        log:
            "results/logs/{space}/{device}/rivals/{rival}/{size}/validate_rival.log",
        benchmark:
            "results/benchmarks/{space}/{device}/rivals/{rival}/{size}/validate_rival.tsv"
        wildcard_constraints:
            rival=flow.any_of(OFF_THE_SHELF),
        resources:
            **jobs.growing(mem_mb=1000, runtime=30),
        params:
            **flow.script_params("validate_rival"),
            settings=lambda wildcards: flow.settings(
                xnnpack=CONFIG.device(wildcards.device).protocol.xnnpack
            ),
        message:
            "Validating the accuracy of {wildcards.rival} at {wildcards.size} px for {wildcards.device}"
        shell:
            flow.command("--threads {threads}")

    rule time_rivals:
        """Time the off-the-shelf networks and the deployed models on the device, in the same sessions."""
        input:
            **flow.script("time_rivals"),
            ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
            # What is in the files below, which may be too large for Snakemake to compare by content.
            exported=of_rivals(
                "results/{space}/rivals/networks/{rival}/{size}/exported.json"
            ),
            winners=of_budgets("results/{space}/search/{device}/{budget}/winner.json"),
            rivals=ancient(
                of_rivals(
                    "results/{space}/rivals/networks/{rival}/{size}/model.tflite"
                )
            ),
            models=ancient(
                of_budgets("results/{space}/deploy/{device}/{budget}/model.tflite")
            ),
            sampled=SAMPLED,
        output:
            latencies="results/{space}/rivals/{device}/latency.json",
        log:
            "results/logs/{space}/{device}/time_rivals.log",
        benchmark:
            "results/benchmarks/{space}/{device}/time_rivals.tsv"
        wildcard_constraints:
            device=flow.any_of(WITH_RIVALS),
        threads: jobs.measuring_threads(workflow, CONFIG)
        resources:
            **jobs.measuring(CONFIG),
            **jobs.growing(mem_mb=1000, runtime=120),
        params:
            **flow.script_params("time_rivals"),
            settings=lambda wildcards: flow.settings(
                device=measured(CONFIG, wildcards.device),
                space=flow.space_at(SPACE, SIZES[:1]),
                sessions=CONFIG.validation.sessions,
                spread_s=CONFIG.validation.spread_s,
            ),
            access=devices.access(CONFIG),
        message:
            "Timing off-the-shelf networks and deployed models on {wildcards.device}"
        shell:
            flow.command("{params.access:q}")

    rule compare_rivals:
        """Compare the deployed models with off-the-shelf networks, at equal latency and at equal accuracy."""
        input:
            **flow.script("compare_rivals"),
            budgets=of_budgets("results/{space}/search/{device}/{budget}/budget.json"),
            winners=of_budgets("results/{space}/search/{device}/{budget}/winner.json"),
            ours=of_budgets("results/{space}/deploy/{device}/{budget}/accuracy.json"),
            exported=of_rivals(
                "results/{space}/rivals/networks/{rival}/{size}/exported.json"
            ),
            theirs=of_rivals(
                "results/{space}/rivals/{device}/{rival}/{size}/accuracy.json"
            ),
            latencies="results/{space}/rivals/{device}/latency.json",
            labels="results/data/native/test-labels.npy",
            # Of a folder of image files: the classes' names.
            listing=LISTING,
        output:
            table="results/{space}/rivals/{device}/rivals.csv",
            comparison="results/{space}/rivals/{device}/rivals.json",
        log:
            "results/logs/{space}/{device}/compare_rivals.log",
        benchmark:
            "results/benchmarks/{space}/{device}/compare_rivals.tsv"
        wildcard_constraints:
            device=flow.any_of(WITH_RIVALS),
        resources:
            **jobs.growing(mem_mb=1000, runtime=10),
        params:
            **flow.script_params("compare_rivals"),
            settings=flow.settings(
                pretrained=[name for name, donor in OFF_THE_SHELF.items() if donor],
                dataset=CONFIG.data.dataset,
                classes=SPACE.classes,
                chosen_by=CONFIG.verification.chosen_by,
            ),
        message:
            "Comparing with off-the-shelf networks on {wildcards.device}"
        shell:
            flow.command()
