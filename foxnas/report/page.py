"""One self-contained page that shows why the deployed models were chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.colors import to_hex

from foxnas.predictor.forms import FORMS
from foxnas.report import fits as fitted
from foxnas.report import provenance
from foxnas.report.architecture import draw_architecture
from foxnas.report.asking import questions, targets_of
from foxnas.report.blocks import block_rows
from foxnas.report.chart_tables import ChartTable, link, trace_table
from foxnas.report.costs import cost_fields
from foxnas.report.data import BudgetRun, DeviceRun, FittedSpace, Run, SearchedDevice, SearchRun, read_run
from foxnas.report.files import PageFiles, command_for
from foxnas.report.findings import findings, of_proposals
from foxnas.report.holdings import acquired_rounds, holdings
from foxnas.report.leads import RIVALS, leads
from foxnas.report.likeness import mixes
from foxnas.report.plane import draw_close_up, draw_plane, predicted_top1
from foxnas.report.proposals import best_brought, brought, draw_proposals
from foxnas.report.proposed import TableDevice, TablesRun, read_tables_run
from foxnas.report.rendering import render
from foxnas.report.rivals import rival_rows
from foxnas.report.targets import TARGET_NAMES, name_of
from foxnas.report.traces import draw_trace
from foxnas.report.twists import describe_twist
from foxnas.verdict.proposals import BASIS

#: Share of the colour map that image sizes take on a light and on a dark page: its ends would vanish.
_LIGHT, _DARK = (0.0, 0.86), (0.28, 1.0)

#: From a file to the link that the page has to it.
Shown = Callable[[Path], str]


@dataclass(frozen=True)
class Section:
    """The predictors of one target: table, overview, and the chosen ones in detail."""

    target: str
    name: str
    used: bool
    rows: Sequence[fitted.FitRow]
    overview: Markup
    diagnoses: Sequence[fitted.Diagnosis]

    @property
    def unit(self) -> str:
        """Unit of differences of the target."""
        return fitted.difference_unit(self.rows[0].predictor.unit)


def write_page(files: PageFiles, page: Path, made_by: Mapping[str, Any] | None = None) -> None:
    """Write the page, one HTML file that loads nothing; its links to the deployed models are relative to it.

    A run on tables of the user's ends with proposals, which the page then shows.

    Raises FoxnasError when a file is missing, damaged or of another version; it is named.
    """
    (_write_models if files.verified else _write_proposals)(files, page, made_by)


def _write_models(files: PageFiles, page: Path, made_by: Mapping[str, Any] | None) -> None:
    run = read_run(files)
    shown = partial(link, page=page)
    render(
        page,
        "page.html.j2",
        made_by,
        run=run,
        count=run.space.count(),
        devices=[_device(run, device, files, shown) for device in run.devices],
        rivals=RIVALS,
        **_common(run),
    )


def _write_proposals(files: PageFiles, page: Path, made_by: Mapping[str, Any] | None) -> None:
    run = read_tables_run(files)
    shown = partial(link, page=page)
    render(
        page,
        "proposals.html.j2",
        made_by,
        run=run,
        count=run.space.count(),
        devices=[_table_device(run, device, files, shown) for device in run.devices],
        basis=BASIS,
        **_common(run),
    )


def _common(run: FittedSpace) -> dict[str, Any]:
    return {
        "colours": _colours(len(run.sizes)),
        "versions": provenance.versions(run),
        "artefacts": provenance.artefacts(run),
        "target_names": TARGET_NAMES,
        "forms": FORMS,
    }


def _table_device(run: TablesRun, device: TableDevice, files: PageFiles, shown: Shown) -> dict[str, Any]:
    accuracy = f"{TARGET_NAMES[run.searched_for]}, %"
    accuracies, fits_at = _fits_files(device, files, shown)
    return {
        "run": device,
        "estimated": False,
        **_asking(run, device, None),
        "findings": of_proposals(run, device),
        "budgets": [
            {
                "run": budget,
                "architecture": draw_architecture(run.space, budget.arch),
                "traces": [draw_trace(budget, certificate, accuracy) for certificate in budget.certificates],
                "best": best_brought(device, budget),
                "trace_table": _trace_table(device, budget, files, shown, accuracy),
            }
            for budget in device.budgets
        ],
        "plane": draw_proposals(run, device),
        "plane_files": _plane_files(device, files, shown),
        "sections": [
            _section(run.accuracy, "top1", accuracies),
            _section(device.latency, "latency", fits_at("latency")),
            *(_section(fits, name, fits_at(name), searched=False) for name, fits in device.further.items()),
        ],
        "links": fitted.link_rows(run.accuracy),
        "pooling": fitted.pooling(run.accuracy),
        "holdings": [],
        "acquired": [],
        "mixes": [],
        "blocks": [],
        "brought": brought(run, device),
    }


def _device(run: Run, device: DeviceRun, files: PageFiles, shown: Shown) -> dict[str, Any]:
    rows, axis = leads(device.baselines)
    accuracy = f"{TARGET_NAMES[run.searched_for]}, %"
    accuracies, fits_at = _fits_files(device, files, shown)
    return {
        "run": device,
        "estimated": device.vela is not None,
        **_asking(run, device, command_for(run.space.name, device.name)),
        "findings": findings(run, device, rows),
        "budgets": [_budget(run, device, budget, files, shown, accuracy) for budget in device.budgets],
        "plane": draw_plane(run, device),
        "plane_files": _plane_files(device, files, shown),
        "leads": rows,
        "leads_axis": axis,
        "off_the_shelf": rival_rows(device.rivals) if device.rivals else [],
        "sections": [
            *(_section(run.accuracy, target, accuracies) for target in ("top1", "probability")),
            _section(device.latency, "latency", fits_at("latency"), named=device.latency_name),
            *(_section(fits, name, fits_at(name), searched=False) for name, fits in device.further.items()),
        ],
        "links": fitted.link_rows(run.accuracy),
        "pooling": fitted.pooling(run.accuracy),
        "holdings": holdings(run, device),
        "acquired": acquired_rounds(device),
        "mixes": mixes(device.latency),
        "blocks": block_rows(device.latency),
        "twists": [describe_twist(budget) for budget in device.budgets if budget.twist],
        "calm": provenance.calm(device),
        "timed": provenance.timed(device),
        "flagged": provenance.flagged(device).to_dict("records"),
        "identities": provenance.identities(device),
        "protocols": provenance.protocols(device),
    }


def _asking(run: FittedSpace, device: SearchedDevice, command: str | None) -> dict[str, Any]:
    """Return what the part that answers questions needs; there is a command where an architecture can be measured."""
    targets = targets_of(run, device)
    limits = {budget.name: budget.budget_ms for budget in device.budgets}
    # All budgets of a device are searched under its caps.
    caps = device.budgets[0].made_by["search"].get("settings", {}).get("caps", {})
    return {
        "questions": questions(run.space, targets, limits, command),
        "command": command,
        "costs": cost_fields(run.space, run.sizes, caps),
        "targets": [(target.name, target.unit) for target in targets],
        "bent": any(fits.predictor.link.asymptote is not None for fits in run.accuracy.values()),
    }


def _budget(
    run: Run, device: DeviceRun, budget: BudgetRun, files: PageFiles, shown: Shown, accuracy: str
) -> dict[str, Any]:
    return {
        "run": budget,
        "architecture": draw_architecture(run.space, budget.arch),
        "close_up": draw_close_up(run, device, budget),
        "top1": dict(zip(budget.candidates["id"], predicted_top1(run, budget), strict=True)),
        "traces": [draw_trace(budget, certificate, accuracy) for certificate in budget.certificates],
        "trace_table": _trace_table(device, budget, files, shown, accuracy),
        "model": shown(budget.model),
    }


def _trace_table(
    device: SearchedDevice, budget: SearchRun, files: PageFiles, shown: Shown, accuracy: str
) -> ChartTable:
    traces = [found["trace"] for found in files.searched(device.name, budget.name).values()]
    return trace_table(budget, accuracy, device.latency_name, tuple(map(shown, traces)))


def _plane_files(device: SearchedDevice, files: PageFiles, shown: Shown) -> list[str]:
    first = files.searched(device.name, device.budgets[0].name)[files.rounds[-1]]
    return list(map(shown, [*files.accuracy().values(), *files.latency(device.name).values(), first["frontier"]]))


def _fits_files(
    device: SearchedDevice, files: PageFiles, shown: Shown
) -> tuple[Mapping[int, str], Callable[[str], Mapping[int, str]]]:
    """Return links to the fits of accuracy by image size, and a function that does so for a target on the device."""

    def links(name: str) -> Mapping[int, str]:
        return {size: shown(path) for size, path in files.fits(name).items()}

    return links("accuracy"), lambda target: links(f"{target}-{device.name}")


def _section(
    fits: Mapping[int, fitted.Fits], target: str, files: Mapping[int, str], searched: bool = True, named: str = ""
) -> Section:
    chosen, name = next(iter(fits.values())).target == target, named or name_of(target)
    return Section(
        target, name, chosen and searched, fitted.fit_rows(fits, target), fitted.draw_overview(fits, target, name),
        [fitted.diagnose(of_size, size, files[size]) for size, of_size in fits.items()] if chosen else [],
    )  # fmt: skip


def _colours(sizes: int) -> dict[str, list[str]]:
    """Return one colour an image size, from dark to light, for a light and for a dark page."""
    ramp = matplotlib.colormaps["viridis"]
    shares = [i / max(sizes - 1, 1) for i in range(sizes)]
    return {
        name: [to_hex(ramp(low + share * (high - low))) for share in shares]
        for name, (low, high) in (("light", _LIGHT), ("dark", _DARK))
    }
