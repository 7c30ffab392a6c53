"""Latency: every sampled subnet's int8 probe, on the real device, one measurement at a time."""


rule time_subnets:
    """Time one shard of probes on a device; the journal keeps what an interrupted job has measured.

    A local device is this machine, so nothing else of the workflow may run beside it: the rule then asks for
    more threads than any machine has, which Snakemake caps to all cores. A device elsewhere is measured by
    one job at a time, beside the workflow's others: each machine is a resource with capacity 1.
    """
    input:
        **flow.script("time_subnets"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
        subnets=ancient("results/{space}/{size}/shards/subnets/{shard}.csv"),
    output:
        table="results/{space}/{size}/shards/latency-{device}/{shard}.csv",
        session="results/{space}/{size}/shards/latency-{device}/{shard}.json",
    log:
        "results/logs/{space}/{size}/time_subnets-{device}/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/time_subnets-{device}/{shard}.tsv"
    wildcard_constraints:
        device=flow.any_of(set(DIRECT) & set(TIMED_IN_FULL)),
    threads: jobs.measuring_threads(workflow, CONFIG)
    resources:
        **jobs.measuring(CONFIG),
        **jobs.growing(mem_mb=1000, runtime=60),
    params:
        **flow.script_params("time_subnets"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            device=measured(CONFIG, wildcards.device),
            sample=SAMPLE,
        ),
        access=devices.access(CONFIG),
        journal=JOURNAL(
            "results/{space}/{size}/journals/latency-{device}/{shard}.jsonl"
        ),
    message:
        "Timing shard {wildcards.shard} of the subnets at {wildcards.size} px on {wildcards.device}"
    shell:
        flow.command("{params.access:q} --journal {params.journal:q}")


use rule gather_accuracy as gather_latency with:
    input:
        **flow.script("gather_shards"),
        shards=of_shards("results/{space}/{size}/shards/latency-{device}/{shard}.csv"),
    output:
        table=report(
            "results/{space}/{size}/latency-{device}.csv",
            caption="../workflow/report/latency.rst",
            category="Measurements",
            labels={"measured": "latency on {device}", "size": "{size} px"},
        ),
    log:
        "results/logs/{space}/{size}/gather_latency-{device}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/gather_latency-{device}.tsv"
    message:
        "Gathering the latencies at {wildcards.size} px on {wildcards.device}"
