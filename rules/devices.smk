"""Devices: made ready before anything is measured on them."""


rule provision_device:
    """Install the pinned interpreter and the runner on a device, unless they are there, and run a first model.

    Measurements take the file as ancient: a device that is provisioned again keeps what it measured.
    """
    input:
        **flow.script("provision_device"),
        pins=devices.pinned_environments(),
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
            kind_code=devices.of_kind(CONFIG.device(wildcards.device)).code,
            ssh=CONFIG.device(wildcards.device).ssh,
            **devices.hosts(CONFIG.device(wildcards.device)),
        ),
        device=devices.provisioned(CONFIG),
    message:
        "Making device {wildcards.device} ready"
    shell:
        flow.command("{params.device:q}")


rule examine_device:
    """Say what a device is and what limits a measurement there: what `python -m foxnas doctor` says, for a run to ask.

    No part of the default run. A device that is not ready fails the job, with the reasons. While this machine is
    examined, nothing else of the workflow runs here; the lock of a device elsewhere keeps measurements apart.
    """
    input:
        **flow.script("examine_device"),
        ready=lambda wildcards: devices.ready(CONFIG.device(wildcards.device)),
    output:
        doctor="results/devices/{device}/doctor.json",
    log:
        "results/logs/devices/{device}/examine_device.log",
    benchmark:
        "results/benchmarks/devices/{device}/examine_device.tsv"
    localrule: True
    threads: jobs.measuring_threads(workflow, CONFIG)
    resources:
        **jobs.growing(mem_mb=1000, runtime=60),
    params:
        **flow.script_params("examine_device"),
        settings=lambda wildcards: flow.settings(
            device=CONFIG.device(wildcards.device),
            kind_code=devices.of_kind(CONFIG.device(wildcards.device)).code,
            space=flow.space_at(SPACE, SIZES[:1]),
            validation=CONFIG.validation,
            margin_percent=CONFIG.verification.margin_percent,
        ),
    message:
        "Examining device {wildcards.device}"
    shell:
        flow.command()


rule examine_devices:
    """Examine all devices that anything is measured on."""
    input:
        expand(
            "results/devices/{device}/doctor.json", device=sorted({*DIRECT, *EDGETPU})
        ),
