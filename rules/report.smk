"""Report: one self-contained page, and the captions of Snakemake's own report."""

from pathlib import Path

from foxnas.report.files import PageFiles

PAGE = PageFiles(
    Path("results"),
    SPACE.name,
    SIZES,
    DEVICES,
    list(BUDGETS),
    BATCHES,
    FURTHER_TARGETS,
    WITH_RIVALS if CONFIG.verifies else [],
    verified=CONFIG.verifies,
    acquired=rounds.acquired(CONFIG),
    sustained=SUSTAINED if CONFIG.verifies else [],
)


rule write_report:
    """Write the page that shows why these models were chosen."""
    input:
        **PAGE.inputs(),
        **flow.script("write_report"),
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
        **jobs.growing(mem_mb=1000, runtime=10),
    params:
        settings=flow.settings(
            **{name: value for name, value in vars(PAGE).items() if name != "results"}
        ),
        code=flow.code_digest("write_report"),
    message:
        "Writing the report"
    shell:
        "python {input.script} --settings {params.settings:q} --accuracy {input.accuracy:q}"
        " --page {output.page:q} 2>&1 | tee {log:q}"
