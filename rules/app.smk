"""App: what a program needs to use a deployed model, and what a person wants to know of it, beside the model."""

#: Devices on which deployed models are run without a pause.
SUSTAINED = DIRECT + EDGETPU if CONFIG.validation.sustained_s else []


rule time_sustained:
    """Run the deployed model on the device without a pause, and time each inference."""
    input:
        **flow.script("time_sustained"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        # What is in the model below, which may be too large for Snakemake to compare by content.
        winner="results/{space}/search/{device}/{budget}/winner.json",
        model=lambda wildcards: devices.deployed(CONFIG.device(wildcards.device)),
        sampled=SAMPLED,
    output:
        result="results/{space}/deploy/{device}/{budget}/sustained.json",
    log:
        "results/logs/{space}/{device}/{budget}/time_sustained.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/time_sustained.tsv"
    wildcard_constraints:
        device=flow.any_of(SUSTAINED),
    threads: jobs.measuring_threads(workflow, CONFIG)
    resources:
        **jobs.measuring(CONFIG),
        **jobs.growing(mem_mb=1000, runtime=240),
    params:
        **flow.script_params("time_sustained"),
        settings=lambda wildcards: flow.settings(
            device=measured(CONFIG, wildcards.device),
            seconds=CONFIG.validation.sustained_s,
        ),
        access=devices.access(CONFIG),
    message:
        "Running the model for budget {wildcards.budget} on {wildcards.device} without a pause"
    shell:
        flow.command("{params.access:q}")


rule write_card:
    """Write the classes' names, a program that classifies photographs, and a card of what was measured."""
    input:
        **flow.script("write_card"),
        model="results/{space}/deploy/{device}/{budget}/model.tflite",
        winner="results/{space}/search/{device}/{budget}/winner.json",
        validation="results/{space}/deploy/{device}/{budget}/validation.json",
        latency="results/{space}/deploy/{device}/{budget}/latency.json",
        sustained=lambda wildcards: devices.deployed_files(
            wildcards.device, SUSTAINED, "sustained.json"
        ),
        answers="results/{space}/deploy/{device}/{budget}/answers.npy",
        labels="results/data/native/test-labels.npy",
        certificates=of_rounds(
            "results/{space}/search/{device}/{budget}/{round}/certificate.json"
        ),
        # Of a folder of image files: the classes' names, and what the test images are called.
        listing=LISTING,
        test_images=["results/data/native/test-images.csv"]
        * (CONFIG.data.form == "csv"),
    output:
        names="results/{space}/deploy/{device}/{budget}/labels.txt",
        program="results/{space}/deploy/{device}/{budget}/classify.py",
        text=report(
            "results/{space}/deploy/{device}/{budget}/card.md",
            caption="../workflow/report/card.rst",
            category="Models",
            labels={"device": "{device}", "budget": "{budget}", "file": "card"},
        ),
        card="results/{space}/deploy/{device}/{budget}/card.json",
    log:
        "results/logs/{space}/{device}/{budget}/write_card.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/write_card.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("write_card"),
        settings=lambda wildcards: flow.settings(
            space=SPACE.name,
            channels=SPACE.image_channels,
            classes=SPACE.classes,
            dataset=CONFIG.data.dataset,
            centre_share=CONFIG.data.centre_share,
            threads=CONFIG.device(wildcards.device).protocol.threads,
            xnnpack=CONFIG.device(wildcards.device).protocol.xnnpack,
            licences=dict(
                images=licences.of_images(CONFIG.data),
                weights=licences.of_weights(CONFIG.supernet),
            ),
        ),
    message:
        "Writing the card of the model for budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command()
