"""Comparison: every strategy side by side on the same predictors, and what they found measured for real."""


rule compare_strategies:
    """Run every strategy over several seeds, with the predictors of the first round and the smallest reserve."""
    input:
        **flow.script("compare_strategies"),
        budget="results/{space}/search/{device}/{budget}/budget.json",
        accuracy=at_sizes("results/{space}/{size}/predictors/accuracy.json"),
        latency=at_sizes("results/{space}/{size}/predictors/latency-{device}.json"),
    output:
        trace="results/{space}/search/{device}/{budget}/strategies/trace.csv",
        found="results/{space}/search/{device}/{budget}/strategies/found.csv",
        subnets="results/{space}/search/{device}/{budget}/strategies/subnets.csv",
    log:
        "results/logs/{space}/{device}/{budget}/compare_strategies.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/compare_strategies.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=30),
    params:
        settings=flow.settings(
            space=SPACE,
            reserve_percent=min(CONFIG.search.reserves_percent),
            alike_layers=CONFIG.search.alike_layers,
            seeds=CONFIG.comparison.seeds,
            calls=CONFIG.comparison.calls,
        ),
        code=flow.code_digest("compare_strategies"),
    message:
        "Comparing search strategies under budget {wildcards.budget} on {wildcards.device}"
    shell:
        "python {input.script} --settings {params.settings:q} --budget {input.budget:q} --accuracy {input.accuracy:q}"
        " --latency {input.latency:q} --trace {output.trace:q}"
        " --found {output.found:q} --subnets {output.subnets:q} 2>&1 | tee {log}"


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
        code=flow.code_digest("evaluate_subnets"),
        device=flow.evaluated_on(CONFIG),
        journal=JOURNAL(
            "results/{space}/search/{device}/{budget}/journals/found-accuracy.jsonl"
        ),
    message:
        "Evaluating what the strategies found for budget {wildcards.budget} on {wildcards.device}"


use rule time_subnets as time_found with:
    input:
        **flow.script("time_subnets"),
        ready=lambda wildcards: flow.ready(CONFIG.device(wildcards.device)),
        subnets="results/{space}/search/{device}/{budget}/strategies/subnets.csv",
    output:
        table="results/{space}/search/{device}/{budget}/strategies/latency.csv",
        session="results/{space}/search/{device}/{budget}/strategies/latency.json",
    log:
        "results/logs/{space}/{device}/{budget}/time_found.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/time_found.tsv"
    wildcard_constraints:
        device=flow.any_of(set(DEVICES) - set(EDGETPU)),
    params:
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            device=measured(CONFIG, wildcards.device),
            sample=SAMPLE,
        ),
        access=flow.access(CONFIG),
        code=flow.code_digest("time_subnets"),
        journal=JOURNAL("results/{space}/search/{device}/{budget}/journals/found.jsonl"),
    message:
        "Timing what the strategies found for budget {wildcards.budget} on {wildcards.device}"
