"""Order of the tests, and a line for each room at the end."""

from __future__ import annotations

import contextlib
import gc
from collections import defaultdict
from collections.abc import Generator
from importlib import import_module
from pathlib import Path

import pytest

#: Files of more than ten seconds, longest first: started first, so that all workers end together. The one that makes
#: `made_once` before those that would wait for it.
LONG_FIRST = (
    "workflow/test_tiny_run.py", "workflow/test_kills.py", "workflow/test_ecosystem.py",
    "workflow/test_interruptions.py", "workflow/test_invalidation_code.py", "workflow/test_remote_storage.py",
    "edgetpu/test_edgetpu_run.py", "workflow/test_slurm.py", "workflow/test_handover.py",
    "workflow/test_invalidation_reruns.py", "ethosu/test_estimated_run.py", "workflow/test_invalidation.py",
    "workflow/test_rivals.py", "workflow/test_tables.py", "doctor/test_examination.py",
    "flow/test_snakemake_losses.py", "flow/test_snakemake_private.py", "device/test_ssh_faults.py",
    "device/test_ssh_campaign.py", "device/test_ssh_boards.py", "device/test_emulated_arm.py",
    "supernet/test_training.py", "flow/test_snakemake_ending.py", "flow/test_plans.py",
    "flow/test_resources.py", "test_docs.py", "int8/test_export.py",
    "int8/test_quantisation.py",
    "workflow/test_full_scale.py", "supernet/test_ofa.py", "workflow/test_layers.py", "flow/test_checkout.py",
    "workflow/test_over_ssh.py", "int8/test_correction.py", "device/test_provisioning.py", "flow/test_summary.py",
    "report/test_asking.py", "workflow/test_named.py",
    "workflow/test_invalidation_pairs.py", "workflow/test_lost_records.py", "workflow/test_provenance.py",
    "space/test_sampling.py", "report/test_page.py", "comparisons/test_pages.py", "comparisons/test_targets.py",
    "device/test_ssh_connection.py", "device/test_ssh_logins.py", "device/test_login_shells.py",
    "flow/test_retirement.py", "workflow/test_lost_files.py",
    "flow/test_rerun.py", "search/test_problem.py", "search/test_annealing.py",
)  # fmt: skip

#: Of other files, which come next, what takes more than two seconds: tests, or all of a file. `make quick` leaves out
#: all of these.
LONG_TESTS = (
    "test_gpu_benchmark.py::test_all_of_it_runs_on_a_cpu_with_four_packages", "workflow/test_finishing.py",
    "workflow/test_onnx_device.py::test_its_winner", "supernet/test_fine_tuning.py", "workflow/test_folds.py",
    "device/test_rack_over_ssh.py", "accuracy/test_evaluation.py::test_a_processor_without_bf16",
    "doctor/test_command.py::test_every_board", "predictor/test_together.py::test_confidence",
    "files/test_closures.py::test_the_closure_holds_all_that_importing_loads",
    "accuracy/test_evaluation.py::test_predictions_are_those_of_once_for_alls_own_evaluation",
    "supernet/test_fitting_batch.py::test_the_way_out_is_said",
    "runner/test_lock.py::test_waiting_for_another_says_whom_and_has_an_end",
    "images/test_conversion.py::test_whatever_is_damaged_is_said_in_one_way",
    "predictor/test_refit.py", "supernet/test_donors.py", "supernet/test_cuda_placement.py",
    "search/test_strategies.py", "flow/test_scale.py", "comparisons/test_single_path.py",
    "comparisons/test_single_path_stage.py",
    "device/test_compatibility.py::test_this_machine_is_surveyed_as_it_is",
    "doctor/test_command.py::test_a_run_asks",
    "device/test_schema.py::test_an_endless_greeting_ends_in_time_and_in_bytes",
    "device/test_session.py::test_a_killed_runner_is_followed_by_another_within_one_call",
    "edgetpu/test_compiler.py::test_a_compiler_that_hangs_is_stopped_with_its_children",
    "images/test_views.py::test_a_long_image_takes_the_memory_of_its_crop",
    "report/test_svg.py::test_only_dots_that_can_be_seen_are_written",
    "runner/test_lock.py::test_a_waiting_or_idle_runner_ends_with_its_host",
    "runner/test_server.py::test_a_silent_runner_is_given_up",
    "test_examples.py::test_the_fits_find_what_the_subnets_were_labelled_with",
    "int8/test_training.py::test_it_continues",
    "int8/test_probe.py::test_probe_is_what_the_converter_writes",
    "starting/test_first_config.py::test_the_workflow_plans",
    "starting/test_first_config.py::test_the_config_of_a_folder",
    "starting/test_first_config.py::test_any_name", "starting/test_first_config.py::test_a_config_that_is_there",
    "supernet/test_supernet.py::test_every_kind_of_block_means_the_same_dynamic_static_and_folded",
    "verdict/test_recorded_sessions.py::test_models_two_percent_off",
)  # fmt: skip


def room_of(nodeid: str) -> str:
    """Return the room of a test: the folder below tests/, else its file."""
    parts = Path(nodeid.split("::")[0]).parts
    return parts[1].removesuffix(".py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and put long files first. `--dist loadfile --no-loadscope-reorder` keeps to the order."""
    files = dict.fromkeys((*LONG_FIRST, *(name.split("::")[0] for name in LONG_TESTS)))
    place = {name: number for number, name in enumerate(files)}
    for item in items:
        name = item.nodeid.removeprefix("tests/")
        if name.split("::")[0] in LONG_FIRST or name.startswith(LONG_TESTS):
            item.add_marker("slow")
    items.sort(key=lambda item: place.get(item.nodeid.split("::")[0].removeprefix("tests/"), len(place)))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Import the tests without a look for garbage, of which importing makes next to none.

    Each worker begins with a share of the files: what pytest and Python keep of a module is made by one worker, and
    read by the others.
    """
    gc.disable()
    try:
        for path in _share(session.config):
            with contextlib.suppress(Exception, pytest.skip.Exception):  # told when it is collected
                import_module(".".join(path.relative_to(session.config.rootpath).with_suffix("").parts))
        return (yield)
    finally:
        gc.enable()


def _share(config: pytest.Config) -> list[Path]:
    """Return every third file if this is one of three workers, none if there is one process."""
    if (worker := getattr(config, "workerinput", None)) is None:
        return []
    named = [config.rootpath / word.partition("::")[0] for word in config.args]
    files = {file for path in named for file in ([path] if path.is_file() else path.rglob("test_*.py"))}
    return sorted(files)[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]


def pytest_collection_finish() -> None:
    """Leave what importing all tests has made out of every later look for garbage: it is there to the end."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write a line for each room: how many tests passed, failed and were skipped, and the seconds they took."""
    counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for kind, reports in terminalreporter.stats.items():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                room = counts[room_of(report.nodeid)]
                room[kind or "other"] += report.when == "call" or kind in ("skipped", "error")
                room["seconds"] += report.duration
    if not counts:
        return
    terminalreporter.section("rooms")
    for name, room in sorted(counts.items(), key=lambda item: -item[1]["seconds"]):
        bad = "".join(f", {room[kind]:.0f} {kind}" for kind in ("failed", "error", "skipped") if room[kind])
        terminalreporter.line(f"{name:12}{room['passed']:5.0f} passed{bad}, {room['seconds']:.0f} s")
