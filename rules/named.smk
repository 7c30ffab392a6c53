"""Named architectures: exported, timed and validated because somebody asks for them, whatever a search found.

The name of the folder is the architecture's text form, so that a target says all that its jobs need:
results/<space>/deploy/<device>/arch-<text>/validation.json. No part of the default run.
"""

NAMED = "results/{space}/deploy/{device}/arch-{arch}"
its_size = partial(named.at_its_size, SPACE)


rule name_architecture:
    """Write a named architecture as the only candidate, with what the regressions predict of it."""
    input:
        **flow.script("name_architecture"),
        accuracy=its_size("results/{space}/{size}/predictors/accuracy.json"),
        latency=its_size("results/{space}/{size}/predictors/latency-{device}.json"),
    output:
        candidates=f"{NAMED}/candidates.csv",
    log:
        "results/logs/{space}/{device}/arch-{arch}/name_architecture.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/name_architecture.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("name_architecture"),
        settings=flow.settings(space=SPACE),
    message:
        "Predicting {wildcards.arch} on {wildcards.device}"
    shell:
        flow.command("--arch {wildcards.arch}")


use rule export_candidates as export_named with:
    input:
        **flow.script("export_candidates"),
        supernet="results/{space}/supernet.safetensors",
        candidates=rules.name_architecture.output.candidates,
        calibration=its_size("results/data/{size}/calibration-images.npy"),
        images=its_size("results/data/{size}/verify-images.npy"),
        labels="results/data/native/verify-labels.npy",
        listing=LISTING,
    output:
        models=directory(f"{NAMED}/exported"),
        table=f"{NAMED}/exported.csv",
    log:
        "results/logs/{space}/{device}/arch-{arch}/export_named.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/export_named.tsv"
    message:
        "Exporting {wildcards.arch} for {wildcards.device}"


use rule time_candidates as time_named with:
    input:
        rules.export_named.output.table,
        **flow.script("time_models"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        models=ancient(rules.export_named.output.models),
        sampled=SAMPLED,
    output:
        latencies=f"{NAMED}/latency.json",
    log:
        "results/logs/{space}/{device}/arch-{arch}/time_named.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/time_named.tsv"
    message:
        "Timing {wildcards.arch} on {wildcards.device}"


use rule compile_candidates as compile_named with:
    input:
        **flow.script("compile_candidates"),
        exported=rules.export_named.output.table,
        models=ancient(rules.export_named.output.models),
    output:
        compiled_models=directory(f"{NAMED}/compiled"),
        table=f"{NAMED}/compiled.csv",
    log:
        "results/logs/{space}/{device}/arch-{arch}/compile_named.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/compile_named.tsv"
    message:
        "Compiling {wildcards.arch} for {wildcards.device}"


use rule time_compiled_candidates as time_compiled_named with:
    input:
        rules.compile_named.output.table,
        **flow.script("time_models"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        models=ancient(rules.compile_named.output.compiled_models),
        sampled=SAMPLED,
        references=REFERENCES,
    output:
        latencies=f"{NAMED}/latency.json",
    log:
        "results/logs/{space}/{device}/arch-{arch}/time_compiled_named.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/time_compiled_named.tsv"
    message:
        "Timing the compiled {wildcards.arch} on {wildcards.device}"


use rule estimate_candidates as estimate_named with:
    input:
        **flow.script("estimate_candidates"),
        ready=lambda wildcards: devices.vela_ready(CONFIG.device(wildcards.device)),
        exported=rules.export_named.output.table,
        models=ancient(rules.export_named.output.models),
    output:
        compiled_models=directory(f"{NAMED}/compiled"),
        table=f"{NAMED}/compiled.csv",
        latencies=f"{NAMED}/latency.json",
    log:
        "results/logs/{space}/{device}/arch-{arch}/estimate_named.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/estimate_named.tsv"
    message:
        "Estimating {wildcards.arch} on {wildcards.device}"


rule deploy_named:
    """Put the exported file of a named architecture where a deployed model lies."""
    input:
        **flow.script("deploy_named"),
        exported=rules.export_named.output.table,
        models=ancient(rules.export_named.output.models),
    output:
        winner=f"{NAMED}/winner.json",
        model=f"{NAMED}/model.tflite",
    log:
        "results/logs/{space}/{device}/arch-{arch}/deploy_named.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/deploy_named.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("deploy_named"),
        settings=flow.settings(),
    message:
        "Deploying {wildcards.arch} for {wildcards.device}"
    shell:
        flow.command()


use rule validate_accuracy as validate_named with:
    input:
        **flow.script("validate_accuracy"),
        supernet="results/{space}/supernet.safetensors",
        winner=rules.deploy_named.output.winner,
        model=rules.deploy_named.output.model,
        calibration=its_size("results/data/{size}/calibration-images.npy"),
        images=its_size("results/data/{size}/test-images.npy"),
        labels="results/data/native/test-labels.npy",
    output:
        result=f"{NAMED}/accuracy.json",
        answers=f"{NAMED}/answers.npy",
    log:
        "results/logs/{space}/{device}/arch-{arch}/validate_named.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/validate_named.tsv"
    message:
        "Validating the accuracy of {wildcards.arch} for {wildcards.device}"


rule judge_named:
    """Write what was predicted of a named architecture beside what was measured."""
    input:
        **flow.script("judge_named"),
        candidates=rules.name_architecture.output.candidates,
        exported=rules.export_named.output.table,
        latency=f"{NAMED}/latency.json",
        accuracy=rules.validate_named.output.result,
        labels="results/data/native/test-labels.npy",
        # Of a folder of image files: the classes' names.
        listing=LISTING,
    output:
        validation=f"{NAMED}/validation.json",
    log:
        "results/logs/{space}/{device}/arch-{arch}/judge_named.log",
    benchmark:
        "results/benchmarks/{space}/{device}/arch-{arch}/judge_named.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("judge_named"),
        settings=flow.settings(
            max_drop_percent=CONFIG.validation.max_drop_percent,
            dataset=CONFIG.data.dataset,
            classes=SPACE.classes,
        ),
    message:
        "Judging {wildcards.arch} on {wildcards.device}"
    shell:
        flow.command()
