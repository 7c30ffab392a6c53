"""Search: budgets in milliseconds, then rounds of candidates that the predictors put under them."""


rule resolve_budget:
    """Turn a budget into milliseconds, once: later growth of the sample does not move a percentile."""
    input:
        **flow.script("resolve_budget"),
        # Of subnets that are no uniform sample, a uniform one's predictions are taken.
        tables=lambda wildcards: expand(
            "results/{space}/{size}/shards/latency-{device}/{shard}.csv",
            size=SIZES if devices.has_uniform_sample(CONFIG, wildcards.device) else [],
            shard=flow.percentile_shards(CONFIG),
            allow_missing=True,
        ),
        predictors=lambda wildcards: expand(
            "results/{space}/{size}/predictors/latency-{device}.json",
            size=[] if devices.has_uniform_sample(CONFIG, wildcards.device) else SIZES,
            allow_missing=True,
        ),
    output:
        budget="results/{space}/search/{device}/{budget}/budget.json",
    log:
        "results/logs/{space}/{device}/{budget}/resolve_budget.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/resolve_budget.tsv"
    resources:
        **jobs.growing(mem_mb=500, runtime=5),
    params:
        **flow.script_params("resolve_budget"),
        settings=lambda wildcards: flow.settings(
            requested=BUDGETS[wildcards.budget],
            rows=flow.percentile_subnets(CONFIG),
            space=SPACE,
            sample=SAMPLE,
        ),
    message:
        "Resolving budget {wildcards.budget} on {wildcards.device}"
    shell:
        flow.command()


rule search_architectures:
    """Search all image sizes under the budget, and certify the result against the exact frontier.

    A later round searches with predictors that have seen what the earlier ones measured, and proposes
    only what is new; when that moved the frontier too little, it proposes nothing.
    """
    input:
        **flow.script("search_architectures"),
        budget="results/{space}/search/{device}/{budget}/budget.json",
        accuracy=rounds.predictors(CONFIG, "accuracy", SIZES),
        latency=rounds.predictors(CONFIG, "latency-{device}", SIZES),
        earlier=rounds.earlier("candidates.csv"),
        refit=rounds.refit,
        acquired=rounds.of_acquired(CONFIG, "accuracy.csv"),
        measured_accuracy=at_sizes("results/{space}/{size}/accuracy.csv"),
        measured_latency=at_sizes("results/{space}/{size}/latency-{device}.csv"),
        objective_file=flow.objective_file(CONFIG),
    output:
        candidates="results/{space}/search/{device}/{budget}/{round}/candidates.csv",
        trace="results/{space}/search/{device}/{budget}/{round}/trace.csv",
        frontier="results/{space}/search/{device}/{budget}/{round}/frontier.csv",
        certificate="results/{space}/search/{device}/{budget}/{round}/certificate.json",
    log:
        "results/logs/{space}/{device}/{budget}/{round}/search_architectures.log",
    benchmark:
        "results/benchmarks/{space}/{device}/{budget}/{round}/search_architectures.tsv"
    resources:
        **jobs.growing(mem_mb=1000, runtime=10),
    params:
        **flow.script_params("search_architectures"),
        settings=lambda wildcards: flow.settings(
            space=SPACE,
            search=CONFIG.search,
            caps=flow.caps(CONFIG, wildcards.device),
            target=CONFIG.predictors.accuracy_target,
            **flow.of_tables(CONFIG),
            **devices.memory_caps(CONFIG, wildcards.device),
            **contents.of_files(flow.objective_file(CONFIG)),
        ),
    message:
        "Searching under budget {wildcards.budget} on {wildcards.device}, {wildcards.round}"
    shell:
        flow.command()


# Rounds and twists go by what is measured of candidates.
if CONFIG.verifies:

    use rule evaluate_subnets as evaluate_candidates with:
        input:
            **flow.script("evaluate_subnets"),
            supernet="results/{space}/supernet.safetensors",
            subnets="results/{space}/search/{device}/{budget}/{round}/candidates.csv",
            calibration=at_sizes("results/data/{size}/calibration-images.npy"),
            images=at_sizes("results/data/{size}/fit-images.npy"),
            labels="results/data/native/fit-labels.npy",
        output:
            table="results/{space}/search/{device}/{budget}/{round}/accuracy.csv",
            outcomes="results/{space}/search/{device}/{budget}/{round}/accuracy.npz",
        log:
            "results/logs/{space}/{device}/{budget}/{round}/evaluate_candidates.log",
        benchmark:
            "results/benchmarks/{space}/{device}/{budget}/{round}/evaluate_candidates.tsv"
        params:
            settings=flow.settings(
                space=SPACE,
                accuracy=flow.evaluation(CONFIG),
                sample=SAMPLE,
            ),
            journal=JOURNAL(
                "results/{space}/search/{device}/{budget}/journals/{round}-accuracy.jsonl"
            ),
        message:
            "Evaluating the candidates of {wildcards.round} for budget {wildcards.budget} on {wildcards.device}"

    rule refit_predictors:
        """Fit again with what the earlier rounds of this budget measured, and see how far the frontier moved."""
        input:
            **flow.script("refit_predictors"),
            budget="results/{space}/search/{device}/{budget}/budget.json",
            accuracy=at_sizes("results/{space}/{size}/accuracy.csv"),
            latency=at_sizes("results/{space}/{size}/latency-{device}.csv"),
            regressions=lambda wildcards: at_sizes(
                devices.donors(CONFIG, wildcards.device)
            ),
            before=lambda wildcards: rounds.earlier("frontier.csv")(wildcards)[-1],
            candidates_accuracy=rounds.earlier("accuracy.csv"),
            candidates_latency=rounds.earlier("timed.json"),
        output:
            accuracy_predictors=at_sizes(
                "results/{space}/search/{device}/{budget}/{round}/predictors/{size}/accuracy.json"
            ),
            latency_predictors=at_sizes(
                "results/{space}/search/{device}/{budget}/{round}/predictors/{size}/latency-{device}.json"
            ),
            refit="results/{space}/search/{device}/{budget}/{round}/refit.json",
        log:
            "results/logs/{space}/{device}/{budget}/{round}/refit_predictors.log",
        benchmark:
            "results/benchmarks/{space}/{device}/{budget}/{round}/refit_predictors.tsv"
        resources:
            **jobs.growing(mem_mb=1000, runtime=5),
        params:
            **flow.script_params("refit_predictors"),
            settings=lambda wildcards: flow.settings(
                space=SPACE,
                target=CONFIG.predictors.accuracy_target,
                accuracy_form=CONFIG.predictors.accuracy_form,
                accuracy_link=CONFIG.predictors.accuracy_link,
                **flow.of_sizes(CONFIG),
                latency_form=CONFIG.predictors.latency_form,
                folds=CONFIG.predictors.folds,
                seed=CONFIG.predictors.seed,
                caps=flow.caps(CONFIG, wildcards.device),
                settled_points=CONFIG.refinement.settled_points,
                **devices.likened(CONFIG, wildcards.device),
            ),
        message:
            "Fitting again for {wildcards.round} of budget {wildcards.budget} on {wildcards.device}"
        shell:
            flow.command()

    rule twist_winner:
        """List the single-knob moves away from the best measured candidate, and propose the best of them."""
        input:
            **flow.script("twist_winner"),
            budget="results/{space}/search/{device}/{budget}/budget.json",
            exported=of_rounds(
                "results/{space}/search/{device}/{budget}/{round}/exported.csv"
            ),
            latencies=of_rounds(
                "results/{space}/search/{device}/{budget}/{round}/timed.json"
            ),
            accuracy=rounds.predictors(CONFIG, "accuracy", SIZES, ROUNDS[-1]),
            latency=rounds.predictors(CONFIG, "latency-{device}", SIZES, ROUNDS[-1]),
            earlier=of_rounds(
                "results/{space}/search/{device}/{budget}/{round}/candidates.csv"
            ),
            first_accuracy=rounds.first_predictors(CONFIG, SIZES),
            first_latency=at_sizes(
                "results/{space}/{size}/predictors/latency-{device}.json"
            ),
            objective_file=flow.objective_file(CONFIG),
        output:
            candidates="results/{space}/search/{device}/{budget}/twist/candidates.csv",
            moves="results/{space}/search/{device}/{budget}/twist/moves.json",
        log:
            "results/logs/{space}/{device}/{budget}/twist/twist_winner.log",
        benchmark:
            "results/benchmarks/{space}/{device}/{budget}/twist/twist_winner.tsv"
        resources:
            **jobs.growing(mem_mb=1000, runtime=5),
        params:
            **flow.script_params("twist_winner"),
            settings=lambda wildcards: flow.settings(
                space=SPACE,
                objective=CONFIG.search.objective,
                alike_layers=CONFIG.search.alike_layers,
                verification=CONFIG.verification,
                caps=flow.caps(CONFIG, wildcards.device),
                twists=CONFIG.refinement.twists,
                **contents.of_files(flow.objective_file(CONFIG)),
            ),
        message:
            "Twisting the best candidate for budget {wildcards.budget} on {wildcards.device}"
        shell:
            flow.command()
