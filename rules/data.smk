"""Data: the published files, four disjoint splits, and arrays at every image size."""

#: Decoding image files takes processes; arrays need one.
DECODING_THREADS = 8 if CONFIG.data.form == "csv" else 1

#: They go first: later each would wait until all processors are free at once, and those that read its images with it.
DECODING_PRIORITY = 2


rule fetch_images:
    """Obtain the data set: from data.folder, or by downloading it. Of a folder of image files, their list.

    On this host also when a cluster does the rest: its nodes often have no way out.

    A folder is looked at each time: other files in it, or files of other content, are obtained anew.
    """
    input:
        **flow.script("fetch_images"),
    output:
        files=expand("results/data/source/{file}", file=CONFIG.data.source_files),
    log:
        "results/logs/fetch_images.log",
    benchmark:
        "results/benchmarks/fetch_images.tsv"
    localrule: True
    resources:
        **jobs.growing(mem_mb=2000, runtime=30),
    params:
        **flow.script_params("fetch_images"),
        settings=lambda wildcards: flow.settings(
            dataset=CONFIG.data.dataset,
            folder=CONFIG.data.folder,
            **contents.of_data(CONFIG.data),
        ),
    message:
        "Obtaining the images"
    shell:
        flow.command()


#: The list of a folder's image files, which has the classes' names; arrays have none.
LISTING = rules.fetch_images.output.files if CONFIG.data.form == "csv" else []


rule split_images:
    """Deal the published images out to train, fit, verify and test."""
    input:
        **flow.script("split_images"),
        files=rules.fetch_images.output.files,
    output:
        expand(
            "results/data/native/{part}-images.{form}",
            form=CONFIG.data.form,
            part=["train", "fit", "verify", "test"],
        ),
        labels=expand(
            "results/data/native/{part}-labels.npy",
            part=["train", "fit", "verify", "test"],
        ),
        record="results/data/splits.json",
    log:
        "results/logs/split_images.log",
    benchmark:
        "results/benchmarks/split_images.tsv"
    priority: DECODING_PRIORITY
    threads: DECODING_THREADS
    resources:
        **jobs.growing(mem_mb=2000, runtime=60),
    params:
        **flow.script_params("split_images"),
        settings=flow.settings(
            data=CONFIG.data.dealt,
            channels=SPACE.image_channels,
            classes=SPACE.classes,
        ),
    message:
        "Splitting the images"
    shell:
        flow.command("--threads {threads}")


rule resize_images:
    """Resize the fit, verify and calibration images to one image size."""
    input:
        **flow.script("resize_images"),
        train=f"results/data/native/train-images.{CONFIG.data.form}",
        fit=f"results/data/native/fit-images.{CONFIG.data.form}",
        verify=f"results/data/native/verify-images.{CONFIG.data.form}",
    output:
        calibration_out="results/data/{size}/calibration-images.npy",
        fit_out="results/data/{size}/fit-images.npy",
        verify_out="results/data/{size}/verify-images.npy",
    log:
        "results/logs/{size}/resize_images.log",
    benchmark:
        "results/benchmarks/{size}/resize_images.tsv"
    priority: DECODING_PRIORITY
    threads: DECODING_THREADS
    resources:
        **jobs.growing(mem_mb=2000, runtime=60),
        # What all sizes take on the disk; not a param, since another size must not touch this one.
        whole_mb=flow.prepared_mb(CONFIG),
    params:
        **flow.script_params("resize_images"),
        settings=flow.settings(
            calibration=flow.calibration_images(CONFIG),
            view=CONFIG.data.view(SPACE.image_channels),
        ),
    message:
        "Resizing the images to {wildcards.size} px"
    shell:
        flow.command(
            "--size {wildcards.size} --whole-mb {resources.whole_mb} --threads {threads}"
        )


rule resize_test_images:
    """Resize the test images to one image size; only the final validation and the baselines read them."""
    input:
        **flow.script("resize_test_images"),
        images=f"results/data/native/test-images.{CONFIG.data.form}",
    output:
        resized="results/data/{size}/test-images.npy",
    log:
        "results/logs/{size}/resize_test_images.log",
    benchmark:
        "results/benchmarks/{size}/resize_test_images.tsv"
    priority: DECODING_PRIORITY
    threads: DECODING_THREADS
    resources:
        **jobs.growing(mem_mb=2000, runtime=60),
        # What all sizes take on the disk; not a param, since another size must not touch this one.
        whole_mb=flow.prepared_mb(CONFIG),
    params:
        **flow.script_params("resize_test_images"),
        settings=flow.settings(view=CONFIG.data.view(SPACE.image_channels)),
    message:
        "Resizing the test images to {wildcards.size} px"
    shell:
        flow.command(
            "--size {wildcards.size} --whole-mb {resources.whole_mb} --threads {threads}"
        )
