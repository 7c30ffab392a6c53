"""Report: one self-contained page, and the captions of Snakemake's own report."""


rule write_report:
    """Write the page that shows why these models were chosen."""
    input:
        script=flow.script("write_report"),
        code=flow.closure("write_report"),
        accuracy=expand(
            "results/{space}/{size}/accuracy.csv", space=SPACE.name, size=SIZES
        ),
        latency=expand(
            "results/{space}/{size}/latency-{device}.csv",
            space=SPACE.name,
            size=SIZES,
            device=DEVICES,
        ),
        accuracy_fits=expand(
            "results/{space}/{size}/predictors/accuracy-fits.json",
            space=SPACE.name,
            size=SIZES,
        ),
        latency_fits=expand(
            "results/{space}/{size}/predictors/latency-{device}-fits.json",
            space=SPACE.name,
            size=SIZES,
            device=DEVICES,
        ),
        further_fits=expand(
            "results/{space}/{size}/predictors/{target}-{device}-fits.json",
            space=SPACE.name,
            size=SIZES,
            target=FURTHER_TARGETS,
            device=DEVICES,
        ),
        searches=expand(
            "results/{space}/search/{device}/{budget}/{file}",
            space=SPACE.name,
            device=DEVICES,
            budget=BUDGETS,
            file=[
                "budget.json",
                "candidates.csv",
                "winner.json",
                "strategies/trace.csv",
                "strategies/found.csv",
                "strategies/accuracy.csv",
                "strategies/latency.csv",
            ],
        ),
        rounds=expand(
            "results/{space}/search/{device}/{budget}/{round}/{file}",
            space=SPACE.name,
            device=DEVICES,
            budget=BUDGETS,
            round=ROUNDS,
            file=["candidates.csv", "trace.csv", "frontier.csv", "certificate.json"],
        ),
        twists=expand(
            "results/{space}/search/{device}/{budget}/{twist}/moves.json",
            space=SPACE.name,
            device=DEVICES,
            budget=BUDGETS,
            twist=TWISTS,
        ),
        validations=expand(
            "results/{space}/deploy/{device}/{budget}/validation.json",
            space=SPACE.name,
            device=DEVICES,
            budget=BUDGETS,
        ),
        baselines=expand(
            "results/{space}/baselines/{device}.json", space=SPACE.name, device=DEVICES
        ),
        accuracy_scores=(
            expand(
                "results/{space}/predictors/accuracy-scores.csv",
                space=SPACE.name,
            )
            if CONFIG.predictors.rivals
            else []
        ),
        latency_scores=(
            expand(
                "results/{space}/predictors/latency-{device}-scores.csv",
                space=SPACE.name,
                device=DEVICES,
            )
            if CONFIG.predictors.rivals
            else []
        ),
    output:
        page=report(
            "results/report.html",
            caption="../workflow/report/page.rst",
            category="Page",
            labels={"file": "page"},
            htmlindex="report.html",
        ),
    log:
        "results/logs/write_report.log",
    benchmark:
        "results/benchmarks/write_report.tsv"
    resources:
        mem_mb=jobs.growing(1000),
        runtime=jobs.growing(10),
    params:
        settings=flow.settings(
            space=SPACE.name,
            sizes=SIZES,
            devices=DEVICES,
            budgets=list(BUDGETS),
            batches=BATCHES,
            further_targets=FURTHER_TARGETS,
            scores=CONFIG.predictors.rivals is not None,
        ),
        code=flow.code_digest("write_report"),
    message:
        "Writing the report"
    shell:
        "python {input.script} --settings {params.settings:q} --accuracy {input.accuracy:q}"
        " --page {output.page:q} 2>&1 | tee {log}"
