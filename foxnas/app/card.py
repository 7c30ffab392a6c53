"""What is to be known of a deployed model: for programs as `card.json`, for people as `card.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from foxnas.accuracy.by_class import recalls

#: How the terms of images and weights are made known.
_SAY_IMAGES = "write it under data.licence of the config, or put a file LICENSE into the images' folder"
_SAY_WEIGHTS = "write it under supernet.licence of the config"

#: Pairs of classes that the card names, and example images of each.
_PAIRS, _EXAMPLES = 10, 3


def by_class(answers: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return images, recall and precision of every class, in percent; None where there is nothing to divide by."""
    said, right = (np.bincount(some, minlength=len(labels)).tolist() for some in (answers, truth[answers == truth]))
    return [
        {**row, "precision_percent": 100 * hits / count if count else None}
        for row, count, hits in zip(recalls(answers == truth, truth, labels), said, right, strict=True)
    ]


def confusions(
    answers: np.ndarray, truth: np.ndarray, labels: Sequence[str], files: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the pairs of classes that are most often taken for one another, the worst first, with example files."""
    wrong = np.flatnonzero(answers != truth)
    pairs, counts = np.unique(np.column_stack([truth[wrong], answers[wrong]]), axis=0, return_counts=True)
    worst = np.argsort(-counts, kind="stable")[:_PAIRS]
    found = []
    for (true, said), count in zip(pairs[worst].tolist(), counts[worst].tolist(), strict=True):
        rows = wrong[(truth[wrong] == true) & (answers[wrong] == said)][:_EXAMPLES]
        examples = [files[row] for row in rows] if len(files) else []
        found.append({"true": labels[true], "said": labels[said], "images": count, "examples": examples})
    return found


def top1_interval(right: int, images: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share, in percent."""
    interval = stats.binomtest(right, images).proportion_ci(method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def written(card: Mapping[str, Any]) -> str:
    """Return the card in Markdown."""
    model, seen, timed, serving = (card[name] for name in ("model", "accuracy", "latency", "serving"))
    shown, worst = card["input"], seen["worst_class"]
    lines = [
        f"# {model['space']} for {serving['device']}, budget {model['budget']}",
        "",
        f"An int8 image classifier of {len(seen['by_class'])} classes, found by FOX-NAS (arXiv 2108.08189): "
        f"`{model['arch']}`.",
        "",
        "| | |",
        "|---|---|",
        f"| file | `{model['file']}`, {model['bytes']:,} bytes, {model['parameters']:,} parameters, {model['macs']:,} "
        "multiply-accumulates |",
        f"| SHA-256 | `{model['sha256']}` |",
        f"| input | one image of {shown['size']} x {shown['size']} pixels, {_colours(shown['channels'])}, raw uint8; "
        f"the shorter side resized, the centre cropped to {100 * shown['centre_share']:g}% of it |",
        *_weights(card.get("weights")),
        *_timing(timed, serving),
        f"| top-1 | {seen['int8_top1_percent']:.2f}% (95% interval {seen['int8_top1_lower_percent']:.2f} to "
        f"{seen['int8_top1_upper_percent']:.2f}) of {seen['test_images']:,} test images; in float "
        f"{seen['float_top1_percent']:.2f}%: {seen['verdict']} |",
        f"| mean over the classes | {seen['mean_class_percent']:.2f}%; worst: {_cell(worst['label'])}, "
        f"{worst['recall_percent']:.2f}% of {worst['images']}{_without_images(seen.get('classes_without_images'))} |",
        f"| search | {_gap(card['search']['gap_points'])} |",
        f"| licence of the images | {_terms(card['licences']['images'], _SAY_IMAGES)} |",
        f"| licence of the weights | {_terms(card['licences']['weights'], _SAY_WEIGHTS)} |",
        "",
        "`python3 classify.py PHOTO` names what is on a photograph.",
        "",
        "## Classes",
        "",
        "Recall: of the images of a class, those that are called so. Precision: of those called so, those that are.",
        "",
        "| class | test images | recall, % | precision, % |",
        "|---|---|---|---|",
        *(
            f"| {_cell(row['label'])} | {row['images']} | {_number(row['recall_percent'])} | "
            f"{_number(row['precision_percent'])} |"
            for row in seen["by_class"]
        ),
        "",
        "## Most often mistaken",
        "",
        "| is | is called | images | for example |",
        "|---|---|---|---|",
        *(
            f"| {_cell(row['true'])} | {_cell(row['said'])} | {row['images']} | "
            f"{', '.join(map(_cell, row['examples']))} |"
            for row in seen["confusions"]
        ),
        "",
        f"Accuracies are of the test images of {card['data']['dataset']}, which no choice has seen.",
        "",
        "## Licences",
        "",
        *_restrictions(card["licences"]),
        "What stands above are the terms of what the model was made of, as they were found or written in the config. "
        "What they ask of you when you pass the model on, such as naming somebody, is for you to look up there.",
    ]
    return "\n".join(lines) + "\n"


def _weights(deployed: Mapping[str, Any] | None) -> list[str]:
    """Return which weights they are, where those of the supernet were trained on; nothing where none were."""
    if deployed is None:
        return []
    words, gained = deployed["weights"], deployed.get("gained")
    if gained is not None:
        words += (
            f": {gained['points']:+.2f} points of int8 top-1 (95% interval {gained['lower']:.2f} to "
            f"{gained['upper']:.2f}) on the verify split over those inherited from the supernet"
        )
    return [f"| weights | {words} |"]


def _timing(timed: Mapping[str, Any], serving: Mapping[str, Any]) -> list[str]:
    ends = f"the budget is {timed['budget_ms']:.4g} ms: {timed['verdict']} |"
    if serving["identity"] is None:
        return [f"| latency | {timed['median_ms']:.4g} ms, {timed['is']}, not measured; {ends}"]
    memory = timed["peak_memory_mb"]
    return [
        f"| measured on | {_cell(serving['identity'])} |",
        f"| served by | {serving['runtime']}, {serving['threads']} thread{'s' * (serving['threads'] > 1)}, "
        f"XNNPACK {'on' if serving['xnnpack'] else 'off'} |",
        f"| latency | median {timed['median_ms']:.4g} ms, 95% bound {timed['upper_ms']:.4g} ms, of "
        f"{timed['sessions']} sessions; {ends}",
        *_sustained(timed.get("sustained")),
        *([f"| memory | {memory:.1f} MB at most, of the process that runs it |"] if memory is not None else []),
    ]


def _sustained(run: Mapping[str, Any] | None) -> list[str]:
    """Return what single inferences took, and what became of them without a pause; nothing where nobody asked."""
    if run is None:
        return []
    long = f"{run['seconds'] / 60:.3g} minutes" if run["seconds"] >= 60 else f"{run['seconds']:.3g} s"
    ends = f"{run['begin_ms']:.4g} ms at the beginning, {run['end_ms']:.4g} ms at the end"
    told = [f"{ends} ({run['slowdown_percent']:+.1f}%)"]
    if (begin := run["begin_temperature_c"]) is not None:
        told.append(f"{begin:.0f} °C then, {run['highest_temperature_c']:.0f} °C at most")
    if run["throttled"] is None:
        told.append("the board does not tell whether it throttles")
    else:
        told.append(f"throttled: {_cell(run['throttled'])}" if run["throttled"] else "not throttled")
    return [
        f"| one inference | the first {run['first_ms']:.4g} ms, after {run['loading_ms']:.4g} ms of loading; of "
        f"{run['runs']:,} more p50 {run['p50_ms']:.4g} ms, p90 {run['p90_ms']:.4g} ms, p99 {run['p99_ms']:.4g} ms, "
        f"the slowest {run['slowest_ms']:.4g} ms |",
        f"| {long} without a pause | {'; '.join(told)} |",
    ]


def _terms(terms: Mapping[str, Any] | None, way_out: str) -> str:
    """Return what is known of a licence; without any terms, the weights are the training's own."""
    if terms is None:
        return "none of others: they were trained here, from random ones"
    if terms["licence"] is None:
        return f"not known: {way_out}, and run again"
    credit = f", {_cell(terms['credit'])}" if terms["credit"] else ""
    return f"{_cell(terms['licence'])}{credit} ({_cell(terms['stands'])})"


def _restrictions(licences: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Return a paragraph for each licence that allows no commercial use."""
    was = {"images": "the model was trained on them", "weights": "the model was trained from them"}
    return [
        line
        for what, terms in licences.items()
        if terms and terms["non_commercial"]
        for line in (
            f"**No commercial use.** The terms of the {what} ({_cell(terms['licence'])}) allow none, and {was[what]}. "
            "Before you sell this model, or something with it inside, or use it in a business, ask who owns them.",
            "",
        )
    ]


def _without_images(classes: Sequence[str] | None) -> str:
    return f"; without a test image, and in neither: {', '.join(map(_cell, classes))}" if classes else ""


def _colours(channels: int) -> str:
    return {1: "grey", 3: "red, green, blue"}.get(channels, f"{channels} channels")


def _cell(text: str) -> str:
    """Return a text that stays in its cell of a table, whatever a folder or a device is called."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return "".join(f"\\{sign}" if sign in r"\|`*_<>[]&" else sign for sign in plain)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _gap(points: float | None) -> str:
    if points is None:
        return "the goal is a function of the user's own, so its optimum is not known"
    where = f"at most {points:.3g} points below" if points > 1e-9 else "at"
    return f"ended {where} the proven optimum of the predictors"
