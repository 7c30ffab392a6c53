"""Every strategy side by side, and what they found measured for real: `snakemake compare_strategies`."""

#: What Single-Path found; nothing unless the config asks for its training.
SINGLE_PATH = (
    ["results/{space}/search/{device}/{budget}/strategies/single-path.csv"]
    if CONFIG.comparison.single_path.epochs
    else []
)

if SINGLE_PATH:

    rule search_single_path:
        """Train a superkernel from the supernet's weights, once for every seed, under the smallest reserve.

        The journal keeps what an interrupted job has trained.
        """
        input:
            **flow.script("search_single_path", COMPARING),
            supernet="results/{space}/supernet.safetensors",
            budget="results/{space}/search/{device}/{budget}/budget.json",
            accuracy=at_sizes("results/{space}/{size}/predictors/accuracy.json"),
            latency=at_sizes("results/{space}/{size}/predictors/latency-{device}.json"),
            train_images=f"results/data/native/train-images.{CONFIG.data.form}",
            train_labels="results/data/native/train-labels.npy",
        output:
            found=SINGLE_PATH[0],
        log:
            "results/logs/{space}/{device}/{budget}/search_single_path.log",
        benchmark:
            "results/benchmarks/{space}/{device}/{budget}/search_single_path.tsv"
        # A GPU waits for the processors that decode its images.
        threads: max(1, 8 * min(1, CONFIG.supernet.gpus))
        resources:
            **jobs.growing(mem_mb=4000, runtime=1440),
            gpu=min(1, CONFIG.supernet.gpus),
        params:
            **flow.script_params("search_single_path", COMPARING),
            settings=flow.settings(
                space=SPACE,
                reserve_percent=min(CONFIG.search.reserves_percent),
                alike_layers=CONFIG.search.alike_layers,
                seeds=CONFIG.comparison.seeds,
                training=CONFIG.comparison.single_path,
                view=CONFIG.data.reading(SPACE.image_channels),
                smallest_crop=CONFIG.supernet.training.smallest_crop,
                symmetry=CONFIG.supernet.training.symmetry,
            ),
            journal=JOURNAL(
                "results/{space}/search/{device}/{budget}/journals/single-path.jsonl"
            ),
        message:
            "Searching by Single-Path under budget {wildcards.budget} on {wildcards.device}"
        shell:
            flow.command(
                "--journal {params.journal:q} --threads {threads} --gpus {resources.gpu}"
            )


rule run_strategies:
    """Run every strategy over several seeds, with the predictors of the first round and the smallest reserve."""
    input:
        **flow.script("run_strategies", COMPARING),
        budget="results/{space}/search/{device}/{budget}/budget.json",
        accuracy=at_sizes("results/{space}/{size}/predictors/accuracy.json"),
        latency=at_sizes("results/{space}/{size}/predictors/latency-{device}.json"),
        single_path=SINGLE_PATH,
    output:
        trace="results/{space}/search/{device}/{budget}/strategies/trace.csv",
        found="results/{space}/search/{device}/{budget}/strategies/found.csv",
        subnets="results/{space}/search/{device}/{budget}/strategies/subnets.csv",
    log:
        "results/logs/{space}/{device}/{budget}/run_strategies.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/run_strategies.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=30),
    params:
        **flow.script_params("run_strategies", COMPARING),
        settings=flow.settings(
            space=SPACE,
            reserve_percent=min(CONFIG.search.reserves_percent),
            alike_layers=CONFIG.search.alike_layers,
            seeds=CONFIG.comparison.seeds,
            calls=CONFIG.comparison.calls,
        ),
    message:
        "Running all search strategies under budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command()


use rule evaluate_subnets as evaluate_found with:
    input:
        **flow.script("evaluate_subnets"),
        supernet="results/{space}/supernet.safetensors",
        subnets="results/{space}/search/{device}/{budget}/strategies/subnets.csv",
        calibration=at_sizes("results/data/{size}/calibration-images.npy"),
        images=at_sizes("results/data/{size}/fit-images.npy"),
        labels="results/data/native/fit-labels.npy",
    output:
        table="results/{space}/search/{device}/{budget}/strategies/accuracy.csv",
        outcomes="results/{space}/search/{device}/{budget}/strategies/accuracy.npz",
    log:
        "results/logs/{space}/{device}/{budget}/evaluate_found.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/evaluate_found.tsv"
    params:
        settings=flow.settings(
            space=SPACE, accuracy=flow.evaluation(CONFIG), sample=SAMPLE
        ),
        device=flow.evaluated_on(CONFIG),
        journal=JOURNAL(
            "results/{space}/search/{device}/{budget}/journals/found-accuracy.jsonl"
        ),
    message:
        "Evaluating what the strategies found for budget {wildcards.budget} on {wildcards.device}"


use rule time_subnets as time_found with:
    input:
        **flow.script("time_subnets"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        subnets="results/{space}/search/{device}/{budget}/strategies/subnets.csv",
    output:
        table="results/{space}/search/{device}/{budget}/strategies/latency.csv",
        session="results/{space}/search/{device}/{budget}/strategies/latency.json",
    log:
        "results/logs/{space}/{device}/{budget}/time_found.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/time_found.tsv"
    wildcard_constraints:
        device=flow.any_of(DIRECT),
    params:
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            device=measured(CONFIG, wildcards.device),
            sample=SAMPLE,
        ),
        access=devices.access(CONFIG),
        journal=JOURNAL("results/{space}/search/{device}/{budget}/journals/found.jsonl"),
    message:
        "Timing what the strategies found for budget {wildcards.budget} on {wildcards.device}"


use rule compile_probes as compile_found with:
    input:
        **flow.script("compile_probes"),
        subnets="results/{space}/search/{device}/{budget}/strategies/subnets.csv",
    output:
        probes="results/{space}/search/{device}/{budget}/strategies/compiled.csv",
        references="results/{space}/search/{device}/{budget}/strategies/compiled-references.csv",
    log:
        "results/logs/{space}/{device}/{budget}/compile_found.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/compile_found.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    params:
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            limits=CONFIG.device(wildcards.device).compiler.limits,
            sample=SAMPLE,
        ),
        compiler=devices.compiler(CONFIG),
        cache=COMPILED,
    message:
        "Compiling what the strategies found for budget {wildcards.budget} on {wildcards.device}"


use rule time_compiled as time_compiled_found with:
    input:
        **flow.script("time_compiled"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        probes=rules.compile_found.output.probes,
        references=rules.compile_found.output.references,
    output:
        table="results/{space}/search/{device}/{budget}/strategies/latency.csv",
        session="results/{space}/search/{device}/{budget}/strategies/latency.json",
    log:
        "results/logs/{space}/{device}/{budget}/time_compiled_found.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/time_compiled_found.tsv"
    wildcard_constraints:
        device=flow.any_of(EDGETPU),
    params:
        settings=lambda wildcards: flow.settings(
            device=measured(CONFIG, wildcards.device),
            sample=SAMPLE,
        ),
        access=devices.access(CONFIG),
        cache=COMPILED,
        journal=JOURNAL("results/{space}/search/{device}/{budget}/journals/found.jsonl"),
    message:
        "Timing what the strategies found for budget {wildcards.budget} on {wildcards.device}"


use rule estimate_subnets as estimate_found with:
    input:
        **flow.script("estimate_subnets"),
        ready=lambda wildcards: devices.vela_ready(CONFIG.device(wildcards.device)),
        subnets="results/{space}/search/{device}/{budget}/strategies/subnets.csv",
    output:
        table="results/{space}/search/{device}/{budget}/strategies/latency.csv",
        session="results/{space}/search/{device}/{budget}/strategies/latency.json",
    log:
        "results/logs/{space}/{device}/{budget}/estimate_found.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/estimate_found.tsv"
    wildcard_constraints:
        device=flow.any_of(ETHOSU),
    params:
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            device=estimated(CONFIG, wildcards.device),
            sample=SAMPLE,
        ),
        vela=devices.vela(CONFIG, VELA),
        journal=JOURNAL("results/{space}/search/{device}/{budget}/journals/found.jsonl"),
    message:
        "Estimating what the strategies found for budget {wildcards.budget} on {wildcards.device}"


rule compare_strategies:
    """Write the page that shows what every strategy found, for every device and budget."""
    input:
        **flow.script("compare_strategies", COMPARING),
        **{
            name: expand(
                f"results/{{space}}/search/{{device}}/{{budget}}/{file}",
                space=SPACE.name,
                device=DEVICES,
                budget=BUDGETS,
            )
            for name, file in {
                "budgets": "budget.json",
                "traces": "strategies/trace.csv",
                "found": "strategies/found.csv",
                "found_accuracy": "strategies/accuracy.csv",
                "found_latency": "strategies/latency.csv",
            }.items()
        },
        accuracy=expand(
            "results/{space}/{size}/accuracy.csv", space=SPACE.name, size=SIZES
        ),
        latency=expand(
            "results/{space}/{size}/latency-{device}.csv",
            space=SPACE.name,
            device=DEVICES,
            size=SIZES,
        ),
    output:
        page=report(
            f"results/{SPACE.name}/strategies.html",
            caption="captions/strategies.rst",
            category="Page",
            labels={"file": "strategies compared"},
        ),
    log:
        f"results/logs/{SPACE.name}/compare_strategies.log",
    benchmark:
        f"results/benchmarks/{SPACE.name}/compare_strategies.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=10),
    params:
        **flow.script_params("compare_strategies", COMPARING),
        settings=flow.settings(
            space=SPACE.name,
            devices=DEVICES,
            target=CONFIG.predictors.accuracy_target,
        ),
    message:
        "Showing what every strategy found"
    shell:
        flow.command()
