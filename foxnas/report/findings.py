"""What was found, in plain sentences; every number is one of the files'."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from foxnas.report.data import DeviceRun, Fits, FittedSpace, Run, SearchedDevice
from foxnas.report.effects import KNOBS, knob_effects
from foxnas.report.leads import Lead
from foxnas.report.numbers import decimals, milliseconds, r2, signed, significant
from foxnas.report.proposed import TableDevice, TablesRun
from foxnas.report.targets import DIFFERENCE_UNITS, TARGET_NAMES


def findings(run: Run, device: DeviceRun, found: list[Lead]) -> list[str]:
    """Return the sentences for one device."""
    return [
        *_compilation(device),
        *_estimation(device),
        _promises(device),
        _models(device),
        _baselines(device, found),
        _predictors(run, device),
        _knobs(run.accuracy, TARGET_NAMES[run.searched_for]),
        _knobs(device.latency, device.latency_name),
        f"{_searches(device)}; which predictions to believe was then decided by "
        f"{'measuring' if device.vela is None else 'compiling'}."
        if _proven(device)
        else _UNPROVEN,
    ]


def of_proposals(run: TablesRun, device: TableDevice) -> list[str]:
    """Return the sentences for one device of a run on tables of the user's."""
    top1, latency = (sum(map(len, by_size.values())) for by_size in (run.top1_percent, device.latencies_ms))
    each = [
        f"{one.proposed['accuracy']:.2f}% top-1 in {milliseconds(one.proposed['latency_ms'])} ms (budget {one.name}: "
        f"{milliseconds(one.budget_ms)} ms)"
        for one in device.budgets
    ]
    return [
        f"Accuracies of {top1:,} architectures and latencies of {latency:,} are those of the tables that were brought; "
        f"{len(device.subnets):,} architectures are in both. Everything else here is predicted, not measured: no model "
        "was exported, no candidate was measured on images or on a device, and nothing was validated.",
        f"Proposed, by predictions: {'; '.join(each)}.",
        _predictors(run, device),
        _knobs(run.accuracy, TARGET_NAMES[run.searched_for]),
        _knobs(device.latency, device.latency_name),
        f"{_searches(device)}." if _proven(device) else _UNPROVEN,
    ]


def _compilation(device: DeviceRun) -> list[str]:
    """For an Edge TPU: what could not be compiled, what it leaves to the CPU, what does not fit on the chip."""
    said = device.compiled
    if said is None:
        return []
    lost, partly = said["compiled_bytes"].isna().sum(), (said["operators_cpu"] > 0).sum()
    streaming = (said["streamed_bytes"] > 0).sum()
    return [
        f"Of the {len(said):,} probes, {lost:,} could not be compiled for the Edge TPU and are in no fit; operators "
        f"stay on the CPU in {partly:,}, and parameters that do not fit on the chip are streamed at every inference in "
        f"{streaming:,}."
    ]


def _estimation(device: DeviceRun) -> list[str]:
    """For an Ethos-U: what its latencies are, and how many subnets have none."""
    said = device.vela
    if said is None:
        return []
    lost, fallen = int(said["compiled_bytes"].isna().sum()), said["fallbacks"].fillna("")
    names = Counter(name for text in fallen if text for name in json.loads(text))
    named = f" ({', '.join(f'{name} in {count:,}' for name, count in names.most_common())})" if names else ""
    return [
        f"Latencies on {device.name} are estimates of Arm's compiler Vela, by its model of the NPU: nothing was timed. "
        f"Of the {len(said):,} probes, {lost:,} could not be compiled, and {int((fallen != '').sum()):,} have "
        f"operators that fall back to the CPU{named}; they have no estimate and are in no fit. The others use "
        f"{_kib(said['sram_bytes'])} of SRAM and {_kib(said['off_chip_bytes'])} off the chip."
    ]


def _kib(sizes: pd.Series) -> str:
    return f"{sizes.min() / 1024:,.0f} to {sizes.max() / 1024:,.0f} KiB"


def _promises(device: DeviceRun) -> str:
    deployed = len(device.budgets)
    in_time = sum(bool(b.validation["latency_kept"]) for b in device.budgets)
    accurate = sum(bool(b.validation["accuracy_kept"]) for b in device.budgets)
    worst = max(device.budgets, key=lambda b: b.validation["drop_percent"]).validation["drop_percent"]
    how = "measured with the deployed file in new sessions" if device.vela is None else "by the estimate"
    said = (
        f"{_of(in_time, deployed)} deployed int8 models {_keep(in_time)} the latency budget on {device.name}, {how}; "
        f"{_of(accurate, deployed).lower()} lose no more top-1 against float than promised "
        f"(largest loss on the test split: {decimals(worst, 2)} points)."
    )
    late = [b.name for b in device.budgets if not b.validation["latency_kept"]]
    passed = [
        f"{b.name} ({len(b.validation['tried'])} tried)"
        for b in device.budgets
        if b.passed_over and len(b.validation["tried"]) > 1
    ]
    said += (
        f" The best verified candidate was not confirmed, and others tried, at: {', '.join(passed)}." if passed else ""
    )
    return said + (f" Not kept by any: {', '.join(late)}; the closest is shown." if late else "")


def _models(device: DeviceRun) -> str:
    about = "" if device.vela is None else "an estimated "
    each = [
        f"{b.validation['int8_top1_percent']:.2f}% top-1{_of_classes(b.validation)} in {about}"
        f"{milliseconds(b.validation['latency_median_ms'])} ms (budget {b.name}: {milliseconds(b.budget_ms)} ms)"
        for b in device.budgets
    ]
    images = device.budgets[0].validation["test_images"]
    return f"On the {images:,} test images, in int8: {'; '.join(each)}."


def _of_classes(validation: Mapping[str, Any]) -> str:
    """Return the mean over classes and the worst of them; nothing where a verdict of before does not say."""
    if (worst := validation.get("worst_class")) is None:
        return ""
    found = f"mean over classes {validation['mean_class_percent']:.2f}%, worst {worst['label']}"
    return f" ({found} {worst['recall_percent']:.2f}%)"


def _baselines(device: DeviceRun, found: list[Lead]) -> str:
    averages = {lead.rival: lead for lead in found if lead.budget == "average"}
    said = " and ".join(
        f"{signed(lead.points)} points (95% interval {signed(lead.lower)} to {signed(lead.upper)}) "
        f"against {_rival(device, lead)}"
        for lead in averages.values()
    )
    worse = [
        (average, [lead.budget for lead in found if lead.rival == rival and lead is not average and lead.points < 0])
        for rival, average in averages.items()
    ]
    where = "; ".join(f"{_rival(device, average)} at {', '.join(budgets)}" for average, budgets in worse if budgets)
    behind = f" Behind {where}." if where else " Behind neither of them at any budget."
    return f"Averaged over the budgets, the lead in float top-1 on the test split is {said}.{behind}"


def _predictors(run: FittedSpace, device: SearchedDevice) -> str:
    parts = []
    for name, fits in ((TARGET_NAMES[run.searched_for], run.accuracy), (device.latency_name, device.latency)):
        qualities = [fit.predictor.quality for fit in fits.values() if fit.predictor.quality]
        values, unseen = [q.adjusted_r2 for q in qualities], [q.r2_cv for q in qualities]
        form = next(iter(fits.values())).form
        ceilings = [fit.ceilings[fit.target] for fit in fits.values() if fit.target in fit.ceilings]
        above = f", where noise allows {r2(min(ceilings))} to {r2(max(ceilings))}" if ceilings else ""
        parts.append(
            f"{r2(min(values))} to {r2(max(values))} for {name} ({form} form{_bent(fits)}{above}; held out, "
            f"R² is {r2(min(unseen))} to {r2(max(unseen))})"
        )
    return f"Over the {len(run.sizes)} image sizes the regressions explain an adjusted R² of {' and of '.join(parts)}."


def _bent(fits: Mapping[int, Fits]) -> str:
    bent = sum(fit.predictor.link.asymptote is not None for fit in fits.values())
    return f", saturating at {bent} of {len(fits)} sizes" if bent else ""


def _knobs(fits: Mapping[int, Fits], target: str) -> str:
    """Say which knobs are worth most, as a mean over the image sizes."""
    worth: dict[tuple[str, int], list[float]] = {}
    for fit in fits.values():
        for effect in knob_effects(fit.predictor):
            worth.setdefault((effect.knob, effect.unit), []).append(effect.value)
    means = {key: sum(values) / len(values) for key, values in worth.items()}
    first = sorted(means, key=lambda key: -abs(means[key]))[:3]
    unit = DIFFERENCE_UNITS[next(iter(fits.values())).predictor.unit]
    said = ", ".join(f"{KNOBS[knob]} of unit {place} ({means[knob, place]:+.2g} {unit})" for knob, place in first)
    return f"What moves {target} most, from the smallest to the largest choice and as a mean over the sizes: {said}."


#: Where the goal is no sum of predictions.
_UNPROVEN = "The goal is a function of your own, so how far from its optimum the searches ended is not known."


def _proven(device: SearchedDevice) -> list[float]:
    """Return the gaps that are known."""
    return [one["gap"] for budget in device.budgets for one in budget.certificates if one["gap"] is not None]


def _searches(device: SearchedDevice) -> str:
    gaps = _proven(device)
    exact = sum(gap < 1e-9 for gap in gaps)
    farthest = f"up to {significant(max(gaps), 2)} points below"
    if not exact:
        return f"The {len(gaps)} searches ended {farthest} the proven optimum of the predictors"
    ended = f"{_of(exact, len(gaps))} searches ended exactly at the proven optimum of the predictors"
    return ended + ("" if exact == len(gaps) else f", the rest {farthest} it")


def _of(some: int, everything: int) -> str:
    return f"All {everything}" if some == everything > 1 else f"{some} of {everything}"


def _keep(count: int) -> str:
    return "keeps" if count == 1 else "keep"


def _rival(device: DeviceRun, lead: Lead) -> str:
    if lead.rival == "best_measured":
        return "the best subnet that was measured anyway"
    return f"random search with as many measurements ({device.baselines['measurements']:,})"
