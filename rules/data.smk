"""Data: the published files, four disjoint splits, and arrays at every image size."""

SOURCE_FILES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


rule fetch_images:
    """Obtain the data set: from data.folder, by torchvision's downloader, or from Debian's package."""
    input:
        script=flow.script("fetch_images"),
        code=flow.closure("fetch_images"),
    output:
        files=expand("results/data/source/{file}", file=SOURCE_FILES),
    log:
        "results/logs/fetch_images.log",
    benchmark:
        "results/benchmarks/fetch_images.tsv"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=flow.settings(folder=CONFIG.data.folder),
        code=flow.code_digest("fetch_images"),
    message:
        "Obtaining the images"
    shell:
        "python {input.script} --settings {params.settings:q} --target results/data/source 2>&1 | tee {log}"


rule split_images:
    """Deal the published training images out to train, fit and verify; keep the published test set apart."""
    input:
        script=flow.script("split_images"),
        code=flow.closure("split_images"),
        files=rules.fetch_images.output.files,
    output:
        images=expand(
            "results/data/native/{part}-images.npy",
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
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=flow.settings(
            seed=CONFIG.data.seed, scene=CONFIG.data.scene, splits=CONFIG.data.splits
        ),
        code=flow.code_digest("split_images"),
    message:
        "Splitting the images"
    shell:
        "python {input.script} --settings {params.settings:q} --source results/data/source"
        " --target results/data/native --record {output.record:q} 2>&1 | tee {log}"


rule resize_images:
    """Resize the fit, verify and calibration images to one image size."""
    input:
        script=flow.script("resize_images"),
        code=flow.closure("resize_images"),
        train="results/data/native/train-images.npy",
        fit="results/data/native/fit-images.npy",
        verify="results/data/native/verify-images.npy",
    output:
        calibration="results/data/{size}/calibration-images.npy",
        fit="results/data/{size}/fit-images.npy",
        verify="results/data/{size}/verify-images.npy",
    log:
        "results/logs/{size}/resize_images.log",
    benchmark:
        "results/benchmarks/{size}/resize_images.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=flow.settings(
            calibration=max(
                CONFIG.accuracy.recalibration_images, CONFIG.export.calibration_images
            )
        ),
        code=flow.code_digest("resize_images"),
    message:
        "Resizing the images to {wildcards.size} px"
    shell:
        "python {input.script} --settings {params.settings:q} --size {wildcards.size} --train {input.train:q}"
        " --fit {input.fit:q} --verify {input.verify:q} --calibration-out {output.calibration:q}"
        " --fit-out {output.fit:q} --verify-out {output.verify:q} 2>&1 | tee {log}"


rule resize_test_images:
    """Resize the test images to one image size; only the final validation and the baselines read them."""
    input:
        script=flow.script("resize_test_images"),
        code=flow.closure("resize_test_images"),
        images="results/data/native/test-images.npy",
    output:
        images="results/data/{size}/test-images.npy",
    log:
        "results/logs/{size}/resize_test_images.log",
    benchmark:
        "results/benchmarks/{size}/resize_test_images.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=flow.code_digest("resize_test_images"),
    message:
        "Resizing the test images to {wildcards.size} px"
    shell:
        "python {input.script} --size {wildcards.size} --images {input.images:q} --resized {output.images:q}"
        " 2>&1 | tee {log}"
