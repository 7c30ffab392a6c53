"""Judges what sessions of the reference and the load after them say about measuring on a device. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from foxnas.device.protocol import MeasurementProtocol
from foxnas.doctor.examination import Session
from foxnas.doctor.finding import Finding
from foxnas.doctor.spread import interval_percent, least_difference_percent, spread_percent

#: The step of the clock may be this share of the reference's latency.
MOST_GRAIN = 0.001

#: Range of the clock under load, relative to its highest.
MOST_CLOCK_RANGE = 0.05

#: Under load; most boards lower their clock from 80 degrees Celsius on.
MOST_UNDER_LOAD_C = 78.0

_COOL = "fit a heat sink or a fan, or let it rest between runs; then ask again"


@dataclass(frozen=True)
class Promises:
    """What the config asks of sessions: when a promise is looked at first and last, and the margin of verification."""

    sessions: int
    most_sessions: int
    margin_percent: float


def counting_ms(sessions: Sequence[Session]) -> list[float]:
    """Return the medians that sessions are judged by: of those that are believed, as a validation makes others again.

    All of them, where fewer than two are.
    """
    believed = [one.median_ms for one in sessions if not one.reason]
    return believed if len(believed) > 1 else [one.median_ms for one in sessions]


def judge_sessions(
    sessions: Sequence[Session], protocol: MeasurementProtocol, promises: Promises, clock_step_ns: int | None
) -> Iterator[Finding]:
    """Yield what ran the reference, how fine the clock is, whether timings are believed, and how sessions spread."""
    facts, hello = sessions[0].facts, sessions[0].hello
    yield _delegate(facts, hello)
    middle = median(one.median_ms for one in sessions)
    yield _grain(clock_step_ns, hello.get("timer_overhead_ns", 0.0), middle)
    yield _believed(sessions)
    if gpu := (hello.get("state_before") or {}).get("gpu"):
        yield _gpu(gpu)
    medians = counting_ms(sessions)
    if len(medians) > 1:
        spread = spread_percent(medians)
        yield _noise(spread, len(medians), promises)
        yield _difference(spread, promises)


def _delegate(facts: Mapping[str, Any], hello: Mapping[str, Any]) -> Finding:
    ran = facts.get("executor") or hello["backend"]
    outside = facts.get("fallback_operators")
    text = f"{hello['runtime']} {hello['runtime_version']} runs the reference on {ran}"
    if hello.get("accelerator"):
        text += f" ({hello['accelerator']})"
    if outside and ran != "own kernels":
        text += f", {outside} of its operators outside"
    return Finding("delegate", "ok", text)


def _gpu(told: Mapping[str, Any]) -> Finding:
    clock, highest = told.get("clock_mhz"), told.get("highest_clock_mhz")
    text = "the GPU's clock is " + (
        "not told" if clock is None else f"{clock:g} MHz" + (f" of {highest:g}" if highest else "")
    )
    text += f", its persistence mode {told.get('persistence') or 'not told'}"
    if told.get("persistence") != "Disabled":
        return Finding("GPU", "ok", text)
    return Finding("GPU", "advice", f"{text}, so it sleeps between sessions", "sudo nvidia-smi --persistence-mode=1")


def _grain(step_ns: int | None, overhead_ns: float, reference_ms: float) -> Finding:
    least_ns = max(step_ns or 0, overhead_ns)
    text = f"the clock tells {least_ns:g} ns apart, and the reference takes {reference_ms:.3g} ms"
    if least_ns <= MOST_GRAIN * 1e6 * reference_ms:
        return Finding("clock grain", "ok", text)
    return Finding("clock grain", "advice", text, "choose larger image sizes, so that models take longer")


def _believed(sessions: Sequence[Session]) -> Finding:
    bad = [one.reason for one in sessions if one.reason]
    if not bad:
        return Finding("timings", "ok", f"the protocol believes the timings of all {len(sessions)} sessions")
    text = f"the timings of {len(bad)} of {len(sessions)} sessions are not believed: {bad[0]}"
    mend = "calm the machine; the lines on other load, governor and throttling say by what"
    return Finding("timings", "blocking" if 2 * len(bad) > len(sessions) else "advice", text, mend)


def _noise(spread: float, n: int, promises: Promises) -> Finding:
    low, high = interval_percent(spread, n)
    text = f"sessions of the reference spread by {spread:.2f}% (n = {n}, 95% interval {low:.2f} to {high:.2f}%)"
    if spread <= promises.margin_percent:
        return Finding("noise", "ok", text)
    return Finding(
        "noise",
        "advice",
        f"{text}, more than verification.margin_percent ({promises.margin_percent:g}%)",
        f"calm the machine, or write verification: {{margin_percent: {high:.1f}}} into the config",
    )


def _difference(spread: float, promises: Promises) -> Finding:
    decided = {
        count: least_difference_percent(spread, count, promises.sessions)
        for count in (promises.sessions, promises.most_sessions)
    }
    told = [f"{least:.2f}% within {count} sessions" for count, least in decided.items() if least is not None]
    if told:
        text = f"a model has to be so far below its budget to be confirmed 9 times in 10: {', '.join(told)}"
        return Finding("smallest difference", "ok", text)
    text = f"no promise can be decided within validation.most_sessions ({promises.most_sessions})"
    return Finding("smallest difference", "advice", text, "write validation: {sessions: 5} or more into the config")


def judge_load(
    rows: Sequence[Mapping[str, Any]], protocol: MeasurementProtocol, highest_clock_mhz: float | None
) -> Iterator[Finding]:
    """Yield how warm, how fast and how steady the device was while it was kept at work."""
    # The last timing began at `after_s`.
    spent_s = rows[-1]["after_s"] + rows[-1].get("device_ms", 0.0) / 1000
    told = next((row["throttled"] for row in rows if row.get("throttled")), "")
    warm = [row["temperature_c"] for row in rows if row.get("temperature_c") is not None]
    if told:
        text = f"the board reports {told} within {spent_s:.0f} s of load, and no timing is believed under that"
        yield Finding("load", "blocking", text, _COOL)
    elif warm:
        text = f"it has {max(warm):.0f} °C after {spent_s:.0f} s of load"
        hot = max(warm) > MOST_UNDER_LOAD_C
        yield Finding("load", "advice" if hot else "ok", text, _COOL if hot else "")
    else:
        yield Finding("load", "ok", f"no temperature is told of in {spent_s:.0f} s of load")
    yield _pace(rows, protocol, spent_s)
    clocks = [row["clock_mhz"] for row in rows if row.get("clock_mhz")]
    if clocks:
        yield _clocks(clocks, highest_clock_mhz)


def _pace(rows: Sequence[Mapping[str, Any]], protocol: MeasurementProtocol, spent_s: float) -> Finding:
    part = -(-len(rows) // 4)
    early, late = (median(row["latency_ms"] for row in some) for some in (rows[:part], rows[-part:]))
    change = late / early - 1
    text = f"the reference takes {100 * change:+.1f}% after {spent_s:.0f} s of load"
    if abs(change) > protocol.max_drift:
        said = f"{text}, beyond protocol.max_drift ({100 * protocol.max_drift:g}%)"
        return Finding("pace", "blocking", said, _COOL)
    if abs(change) > protocol.max_disagreement:
        said = f"{text}, beyond protocol.max_disagreement ({100 * protocol.max_disagreement:g}%)"
        return Finding("pace", "advice", said, _COOL)
    return Finding("pace", "ok", text)


def _clocks(clocks: Sequence[float], highest: float | None) -> Finding:
    low, high = min(clocks), max(clocks)
    if (high - low) / high > MOST_CLOCK_RANGE:
        text = f"the clock moved between {low:.0f} and {high:.0f} MHz under load"
        return Finding("clock", "advice", text, "see the governor and the temperature; boost off makes it steadier")
    text = f"the clock was {median(clocks):.0f} MHz under load"
    if highest and high < 0.9 * highest:
        return Finding(
            "clock", "advice", f"{text}, of {highest:.0f}", "see the governor, the supply and the temperature"
        )
    return Finding("clock", "ok", text)
