"""Search: budgets in milliseconds, then the architectures that the predictors put under them."""


rule resolve_budget:
    """Turn a budget into milliseconds, once: later growth of the sample does not move a percentile."""
    input:
        script=flow.script("resolve_budget"),
        code=flow.closure("resolve_budget"),
        tables=expand(
            "results/{space}/{size}/shards/latency-{device}/{shard}.csv",
            size=SIZES,
            shard=flow.percentile_shards(CONFIG),
            allow_missing=True,
        ),
    output:
        budget="results/{space}/search/{device}/{budget}/budget.json",
    log:
        "results/logs/{space}/{device}/{budget}/resolve_budget.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/resolve_budget.tsv"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        settings=lambda wildcards: flow.settings(
            requested=BUDGETS[wildcards.budget], rows=flow.percentile_subnets(CONFIG)
        ),
        code=flow.code_digest("resolve_budget"),
    message:
        "Resolving budget {wildcards.budget} on {wildcards.device}"
    shell:
        "python {input.script} --settings {params.settings:q} --tables {input.tables:q} --budget {output.budget:q}"
        " 2>&1 | tee {log}"


rule search_architectures:
    """Anneal over all image sizes under the budget, and certify the result against the exact frontier."""
    input:
        script=flow.script("search_architectures"),
        code=flow.closure("search_architectures"),
        budget="results/{space}/search/{device}/{budget}/budget.json",
        accuracy=expand(
            "results/{space}/{size}/predictors/accuracy.json",
            size=SIZES,
            allow_missing=True,
        ),
        latency=expand(
            "results/{space}/{size}/predictors/latency-{device}.json",
            size=SIZES,
            allow_missing=True,
        ),
        measured_accuracy=expand(
            "results/{space}/{size}/accuracy.csv", size=SIZES, allow_missing=True
        ),
        measured_latency=expand(
            "results/{space}/{size}/latency-{device}.csv",
            size=SIZES,
            allow_missing=True,
        ),
    output:
        candidates="results/{space}/search/{device}/{budget}/candidates.csv",
        trace="results/{space}/search/{device}/{budget}/trace.csv",
        frontier="results/{space}/search/{device}/{budget}/frontier.csv",
        certificate="results/{space}/search/{device}/{budget}/certificate.json",
    log:
        "results/logs/{space}/{device}/{budget}/search_architectures.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/search_architectures.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=flow.settings(
            space=SPACE, search=CONFIG.search, target=CONFIG.predictors.accuracy_target
        ),
        code=flow.code_digest("search_architectures"),
    message:
        "Searching under budget {wildcards.budget} on {wildcards.device}"
    shell:
        "python {input.script} --settings {params.settings:q} --budget {input.budget:q} --accuracy {input.accuracy:q}"
        " --latency {input.latency:q} --measured-accuracy {input.measured_accuracy:q}"
        " --measured-latency {input.measured_latency:q} --candidates {output.candidates:q} --trace {output.trace:q}"
        " --frontier {output.frontier:q} --certificate {output.certificate:q} 2>&1 | tee {log}"
