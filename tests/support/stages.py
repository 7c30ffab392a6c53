"""Where a rerun begins, and what follows from there: the words of docs/explanation/invalidation.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.support.dag import Job


@dataclass(frozen=True)
class Stage:
    """Where a rerun begins: all rules from there on, some of them for some wildcards only (``rule name=value``)."""

    says: str
    own: tuple[str, ...]
    """The rules that it begins with."""
    then: tuple[Stage, ...]
    """What follows from them."""

    @property
    def rules(self) -> frozenset[str]:
        """All of its rules."""
        return frozenset(self.own).union(*(stage.rules for stage in self.then))

    def __or__(self, other: Stage) -> Stage:
        return Stage(f"{self.says}; {other.says}", (), (self, other))

    def among(self, jobs: Iterable[Job], where: Mapping[str, str]) -> set[Job]:
        """Return those of the jobs that belong to it; a wildcard of `where` that a job has must have that value."""
        return {
            job
            for job in jobs
            if any(Job.parse(rule).covers(job) for rule in self.rules)
            and all(dict(job.wildcards).get(name, value) == value for name, value in where.items())
        }


def _stage(says: str, *rules: str, then: Iterable[Stage] = ()) -> Stage:
    return Stage(says, rules, tuple(then))


def _measured(batch: str = "") -> list[str]:
    """The rules that measure exported candidates."""
    rules = "compile_candidates", "time_candidates", "time_compiled_candidates", "estimate_candidates"
    return [f"{rule} {batch}".strip() for rule in rules]


NOTHING = _stage("nothing")
PROMISES = _stage("the check of the promises", "check_promises")
REPORT = _stage("the report", "write_report", then=[PROMISES])
CARD = _stage("the card", "write_card")
SUSTAINED = _stage("the deployed models at work without a pause", "time_sustained", then=[REPORT, CARD])
AGAINST_RIVALS = _stage("the comparison with off-the-shelf networks", "compare_rivals", then=[REPORT])
RIVALS_TIMED = _stage(
    "timing of off-the-shelf networks beside the deployed models onward", "time_rivals", then=[AGAINST_RIVALS]
)
RIVALS_VALIDATED = _stage("validation of off-the-shelf networks onward", "validate_rival", then=[AGAINST_RIVALS])
RIVALS_EXPORTED = _stage(
    "export of off-the-shelf networks onward", "export_rival", then=[RIVALS_VALIDATED, RIVALS_TIMED]
)
RIVALS_TRAINED = _stage("training of off-the-shelf networks onward", "train_rival", then=[RIVALS_EXPORTED])
VERDICT = _stage("the verdict", "judge_model", then=[REPORT, CARD])
BASELINES = _stage("the comparison with baselines", "compare_baselines", then=[REPORT])
CONFIRMATION = _stage(
    "the confirmation in new sessions onward",
    "confirm_together", "confirm_latency", "confirm_compiled_together", "confirm_compiled_latency", "confirm_estimate",
    "deploy_winner", "deploy_compiled", "deploy_vela", "prepare_winner", "validate_accuracy", "validate_on_device",
    then=[VERDICT, SUSTAINED, BASELINES, RIVALS_TIMED],
)  # fmt: skip
FINISHING = _stage(
    "the winner's own training onward", "finish_winner", "compile_candidates batch=finished",
    "estimate_candidates batch=finished", then=[CONFIRMATION],
)  # fmt: skip
WINNER = _stage("the ranking of the candidates onward", "rank_candidates", then=[FINISHING])
TWISTS = _stage(
    "twists onward", "twist_winner", "export_candidates batch=twist", *_measured("batch=twist"), then=[WINNER]
)
LATER_ROUNDS = _stage(
    "later rounds onward",
    "refit_predictors", "search_architectures round=round-2", "export_candidates batch=round-2",
    *_measured("batch=round-2"), then=[TWISTS],
)  # fmt: skip
TIMING = _stage("timing of candidates onward", "time_candidates", "time_compiled_candidates", then=[LATER_ROUNDS])
EXPORT = _stage("export onward", "export_candidates", *_measured(), then=[LATER_ROUNDS])
PROPOSALS = _stage("the proposals", "propose_architectures", then=[REPORT])
SEARCH = _stage("search onward", "search_architectures", "evaluate_candidates", then=[EXPORT, PROPOSALS])
ACQUISITION = _stage(
    "acquisition, search onward", "acquire_subnets", "evaluate_acquired", "fit_acquired", then=[SEARCH]
)
ACQUISITION_AGAIN = _stage(
    "the new round of acquisition, search onward",
    *(f"{rule} round=round-3" for rule in ("acquire_subnets", "evaluate_acquired", "fit_acquired")), then=[SEARCH],
)  # fmt: skip
STRATEGIES_PAGE = _stage("the page of the strategies, if asked for", "compare_strategies")
STRATEGIES = _stage(
    "the comparison of strategies, if asked for",
    "search_single_path", "run_strategies", "evaluate_found", "time_found", "compile_found", "time_compiled_found",
    "estimate_found",
    then=[STRATEGIES_PAGE],
)  # fmt: skip
BUDGET = _stage("budgets, search onward", "resolve_budget", then=[ACQUISITION, STRATEGIES])
PREDICTORS_PAGE = _stage("the page of the predictors, if asked for", "compare_predictors")
RIVALS = _stage(
    "the comparison of predictors, if asked for",
    "compare_accuracy_predictors", "compare_latency_predictors", then=[PREDICTORS_PAGE],
)  # fmt: skip
RIVALS_OF_ACCURACY = _stage(RIVALS.says, "compare_accuracy_predictors", then=[PREDICTORS_PAGE])
RIVALS_OF_LATENCY = _stage(RIVALS.says, "compare_latency_predictors", then=[PREDICTORS_PAGE])
TARGET = _stage("the fits of further targets", "fit_target", then=[REPORT])
ACCURACY_FIT = _stage("accuracy fits onward", "fit_accuracy", "fit_accuracy_together", then=[ACQUISITION, STRATEGIES])
LATENCY_FIT = _stage("latency fits onward", "fit_latency", "fit_like", "fit_blocks", then=[ACQUISITION, STRATEGIES])
ACCURACY = _stage(
    "accuracy onward", "evaluate_subnets", "evaluate_fold", "pool_folds", "gather_accuracy",
    then=[ACCURACY_FIT, RIVALS_OF_ACCURACY],
)  # fmt: skip
FOLDS = _stage("the other folds' supernets, accuracy onward", "swap_fold", "resize_fold", "train_fold", then=[ACCURACY])
LATENCY = _stage(
    "latency onward",
    "time_subnets", "time_chosen", "time_rest", "time_blocks", "time_calibration", "leave_untimed", "time_compiled",
    "estimate_subnets", "gather_latency", "fit_target", then=[LATENCY_FIT, BUDGET, RIVALS_OF_LATENCY],
)  # fmt: skip
LIKENED = _stage(
    "probes of the likened device onward", "time_chosen", "time_rest", "gather_latency", then=[LATENCY_FIT, BUDGET]
)
CALIBRATING = _stage(
    "the subnets that calibrate the blocks onward", "time_calibration", "leave_untimed", "gather_latency",
    then=[LATENCY_FIT, BUDGET],
)  # fmt: skip
BLOCKS = _stage("the blocks onward", "time_blocks", then=[CALIBRATING])
ACCURACIES_TAKEN = _stage("your table of accuracies onward", "take_accuracies", then=[ACCURACY_FIT, RIVALS_OF_ACCURACY])
LATENCIES_TAKEN = _stage(
    "your table of latencies onward", "take_latencies", then=[LATENCY_FIT, BUDGET, RIVALS_OF_LATENCY]
)
COMPILATION = _stage("compilation onward", "compile_probes", then=[LATENCY])
PROVISION = _stage("a check of the device", "provision_device")
SAMPLE = _stage("sampling onward", "sample_subnets", then=[ACCURACY, COMPILATION])
SUPERNET = _stage("the supernet, accuracy onward", "take_checkpoint", "train_supernet", "train_fold", then=[ACCURACY])
SPACE = _stage("everything but the images", then=[SUPERNET, SAMPLE])
RESIZED = _stage(
    "resizing, accuracy onward", "resize_images", "resize_test_images", "resize_fold", then=[ACCURACY, RIVALS_EXPORTED]
)
CALIBRATION = _stage(ACCURACY.says, "resize_images", "resize_fold", then=[ACCURACY, RIVALS_EXPORTED])
SPLIT = _stage(
    "splits, training, accuracy onward", "split_images", "train_supernet", "swap_fold", "train_fold",
    then=[RESIZED, RIVALS_TRAINED],
)  # fmt: skip
FETCH = _stage("the images anew, onward", "fetch_images", then=[SPLIT])
NEW_FOLD = _stage(
    "the new fold's supernet; accuracies joined anew, fits onward",
    *(f"{rule} fold=3" for rule in ("swap_fold", "resize_fold", "train_fold", "evaluate_fold")),
    "pool_folds", "gather_accuracy", then=[ACCURACY_FIT, RIVALS_OF_ACCURACY],
)  # fmt: skip
#: More subnets: what is new, then whatever takes the whole table.
GROWTH = _stage(
    "the new subnets alone are evaluated and timed; fits onward",
    "sample_subnets shard=1", "evaluate_subnets shard=1", "time_subnets shard=1", "time_rest shard=1",
    "leave_untimed shard=1", "compile_probes shard=1", "time_compiled shard=1", "estimate_subnets shard=1",
    "gather_accuracy", "gather_latency", "fit_target",
    then=[ACCURACY_FIT, LATENCY_FIT, BUDGET, RIVALS],
)  # fmt: skip
EXTRA = _stage(
    "the new subnets alone are evaluated and timed; the comparison with baselines",
    "sample_subnets shard=1", "evaluate_subnets shard=1", "time_subnets shard=1", "time_rest shard=1",
    "leave_untimed shard=1", "compile_probes shard=1", "time_compiled shard=1", "estimate_subnets shard=1",
    then=[BASELINES],
)  # fmt: skip
SEARCH_AGAIN = _stage("the new round, twists onward", "evaluate_candidates round=round-1", then=[LATER_ROUNDS])
NEW_SIZE = _stage("the new size: resizing, sampling onward", "resize_images", "resize_test_images", then=[SAMPLE])
NEW_SIZE_TRAINED = _stage(
    "the new size: resizing, sampling, latency; training, accuracy of all sizes onward",
    *(
        f"{rule} size=20"
        for rule in (
            "resize_images", "resize_test_images", "sample_subnets", "time_subnets", "time_compiled",
            "compile_probes", "estimate_subnets", "gather_latency", "fit_latency",
        )
    ),
    "fit_target", then=[SUPERNET, BUDGET, RIVALS_OF_LATENCY],
)  # fmt: skip
NEW_DEVICE = _stage("the new device: latency onward", "provision_device", then=[COMPILATION])

ON_THE_PAGE = (
    FETCH, SPLIT, RESIZED, SUPERNET, FOLDS, SAMPLE, ACCURACY, COMPILATION, LATENCY, LIKENED, BLOCKS, CALIBRATING,
    ACCURACY_FIT, LATENCY_FIT, BUDGET, ACQUISITION,
    SEARCH, EXPORT, TIMING, LATER_ROUNDS, TWISTS, WINNER, CONFIRMATION, VERDICT, SUSTAINED, CARD, BASELINES,
    RIVALS_TRAINED, RIVALS_EXPORTED, RIVALS_VALIDATED, RIVALS_TIMED, AGAINST_RIVALS, STRATEGIES, RIVALS,
    STRATEGIES_PAGE, PREDICTORS_PAGE, TARGET, ACCURACIES_TAKEN, LATENCIES_TAKEN, PROPOSALS, REPORT, PROMISES,
)  # fmt: skip
