"""Devices: made ready before anything is measured on them."""


rule provision_device:
    """Install the pinned interpreter and the runner on a device, unless they are there, and run a first model.

    Measurements take the file as ancient: a device that is provisioned again keeps what it measured.
    """
    input:
        **flow.script("provision_device"),
        pins=flow.pinned_environments(),
    output:
        ready="results/devices/{device}/ready.json",
    log:
        "results/logs/devices/{device}/provision_device.log",
    benchmark:
        "results/benchmarks/devices/{device}/provision_device.tsv"
    localrule: True
    resources:
        **jobs.growing(mem_mb=500, runtime=60),
    params:
        **flow.script_params("provision_device"),
        settings=lambda wildcards: flow.settings(
            kind=CONFIG.device(wildcards.device).kind,
            ssh=CONFIG.device(wildcards.device).ssh,
        ),
        device=flow.provisioned(CONFIG),
    message:
        "Making device {wildcards.device} ready"
    shell:
        flow.command("{params.device:q}")
