"""Tables: measurements that a user brings take the place of those made here, and the search ends with proposals."""


rule take_accuracies:
    """Check the user's table of accuracies row by row, and write it as evaluated subnets are written."""
    input:
        **flow.script("take_accuracies"),
        files=flow.accuracy_files(CONFIG),
    output:
        tables=report(
            at_sizes("results/{space}/{size}/accuracy.csv"),
            caption="../workflow/report/given.rst",
            category="Measurements",
            labels={"measured": "accuracy", "size": "all"},
        ),
    log:
        "results/logs/{space}/take_accuracies.log",
    benchmark:
        "results/benchmarks/{space}/take_accuracies.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("take_accuracies"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            given=CONFIG.accuracy.table,
            **contents.of_files(flow.accuracy_files(CONFIG)),
        ),
    message:
        "Taking the accuracies of your table"
    shell:
        flow.command()


rule take_latencies:
    """Check the user's table of a device's latencies row by row, and write it as timed probes are written."""
    input:
        **flow.script("take_latencies"),
        files=lambda wildcards: flow.latency_files(CONFIG, wildcards.device),
    output:
        tables=report(
            at_sizes("results/{space}/{size}/latency-{device}.csv"),
            caption="../workflow/report/given.rst",
            category="Measurements",
            labels={"measured": "latency on {device}", "size": "all"},
        ),
    log:
        "results/logs/{space}/take_latencies-{device}.log",
    benchmark:
        "results/benchmarks/{space}/take_latencies-{device}.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("take_latencies"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            given=CONFIG.device(wildcards.device).table,
            **contents.of_files(flow.latency_files(CONFIG, wildcards.device)),
        ),
    message:
        "Taking the latencies of your table for {wildcards.device}"
    shell:
        flow.command()


rule propose_architectures:
    """Say which architecture is proposed for each budget, by predictions alone: nothing of it was measured."""
    input:
        **flow.script("propose_architectures"),
        budgets=of_budgets("results/{space}/search/{device}/{budget}/budget.json"),
        candidates=of_budgets(
            "results/{space}/search/{device}/{budget}/round-1/candidates.csv"
        ),
        certificates=of_budgets(
            "results/{space}/search/{device}/{budget}/round-1/certificate.json"
        ),
    output:
        proposals=report(
            "results/{space}/search/{device}/proposals.json",
            caption="../workflow/report/proposals.rst",
            category="Models",
            labels={"device": "{device}", "budget": "all", "file": "proposals"},
        ),
    log:
        "results/logs/{space}/{device}/propose_architectures.log",
    benchmark:
        "results/benchmarks/{space}/{device}/propose_architectures.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("propose_architectures"),
        settings=flow.settings(),
    message:
        "Proposing architectures for {wildcards.device}"
    shell:
        flow.command("--device {wildcards.device}")
