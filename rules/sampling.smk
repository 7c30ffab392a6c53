"""Sampling: an endless reproducible sample of subnets per image size, in shards."""


rule sample_subnets:
    """Sample one shard of the subnets of one image size, by the design."""
    input:
        **flow.script("sample_subnets"),
    output:
        subnets="results/{space}/{size}/shards/subnets/{shard}.csv",
    log:
        "results/logs/{space}/{size}/sample_subnets/{shard}.log",
    benchmark:
        "results/benchmarks/{space}/{size}/sample_subnets/{shard}.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("sample_subnets"),
        settings=lambda wildcards: flow.settings(
            space=flow.space_at(SPACE, [int(wildcards.size)]),
            sample=SAMPLE,
            count=flow.SHARD_SIZE,
        ),
    message:
        "Sampling shard {wildcards.shard} of the subnets at {wildcards.size} px"
    shell:
        flow.command("--image-size {wildcards.size} --shard {wildcards.shard}")
