"""Judges what a device is and under which conditions it measures. Pure: values in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from foxnas.device.provisioning.survey import Survey
from foxnas.doctor.conditions import Conditions
from foxnas.doctor.finding import Finding
from foxnas.doctor.way import Way

#: Free disk that the runner, its environment and an update of it take, in MiB.
ENOUGH_DISK_MB = 500

#: Below so much available memory, in MiB, the supernet's larger probes and the runtime push each other out.
ENOUGH_MEMORY_MB = 200

#: CPUs that others may keep busy: what a system does by itself.
MOST_BUSY_CPUS = 0.1

#: Percent of a virtual machine's time that its host may take.
MOST_STOLEN_PERCENT = 0.5

#: At rest; most boards lower their clock from 80 degrees Celsius on, and work adds 20 to 30.
MOST_AT_REST_C = 65.0


def judge_board(found: Survey, way: Way, folder: str) -> Iterator[Finding]:
    """Yield what a survey says: system and disk."""
    folder = "the home folder" if folder == "." else folder
    yield Finding("system", "ok", str(found))
    if not found.writable:
        yield Finding(
            "disk",
            "blocking",
            f"{found.user} may not write to {folder}",
            f"set ssh.folder to a folder of {found.user}'s",
        )
    elif found.free_mb is not None and found.free_mb < ENOUGH_DISK_MB:
        yield Finding(
            "disk", "advice", f"the disk of {folder} has only {found.free_mb} MiB free", way.there("df -h")
            + "  # then make room, or set ssh.folder to another disk",
        )  # fmt: skip
    else:
        free = "an unknown number of" if found.free_mb is None else f"{found.free_mb:,}"
        yield Finding("disk", "ok", f"{folder} is on a disk with {free} MiB free")


def judge_conditions(told: Conditions, way: Way) -> Iterator[Finding]:
    """Yield what the conditions mean for a measurement."""
    machine = told.machine
    named = machine.board or machine.cpu or machine.architecture or "an unnamed machine"
    parts = [named, *([machine.cpu] if machine.board and machine.cpu else []), f"{machine.cores or '?'} CPUs"]
    parts += [f"{machine.memory_mb:,} MiB memory"] if machine.memory_mb else []
    parts += [f"{machine.system} {machine.release} {machine.architecture}", f"Python {told.python}"]
    yield Finding("board", "ok", ", ".join([*parts, *(["a virtual machine"] if told.virtual else [])]))
    yield _userland(told)
    yield _governor(told, way)
    yield _frequency(told)
    yield from _throttling(told, way)
    yield _at_rest(told)
    yield _other_load(told, way)
    if told.virtual or told.stolen_percent:
        yield _stolen(told)
    yield _memory(told, way)


def _userland(told: Conditions) -> Finding:
    wide = (told.machine.architecture or "").lower() in ("aarch64", "arm64", "x86_64", "amd64", "armv8l")
    text = f"the Python there is of {told.bits} bits"
    if told.bits >= 64:
        return Finding("userland", "ok", text)
    on = "on a 64-bit kernel, " if wide else ""
    return Finding(
        "userland",
        "advice",
        f"{text}, {on}where int8 kernels are slower and only older interpreters are published",
        "put a 64-bit system on it (Raspberry Pi 3 and later: Raspberry Pi OS 64-bit, by Raspberry Pi Imager)",
    )


def _governor(told: Conditions, way: Way) -> Finding:
    governors = ", ".join(told.governors)
    if not governors:
        return Finding("governor", "ok", "no governor is told of: the clock is not this system's to set")
    if told.governors == ["performance"]:
        return Finding("governor", "ok", "the governor is performance")
    # Of these drivers, the governor powersave is a dynamic one.
    lowest = told.governors == ["powersave"] and told.driver not in ("intel_pstate", "amd-pstate-epp")
    at = f" ({told.lowest_clock_mhz:g} MHz)" if told.lowest_clock_mhz is not None else ""
    does = f"keeps the clock at its lowest{at}" if lowest else "changes the clock while a model is timed"
    return Finding(
        "governor",
        "advice",
        f"the governor is {governors}, which {does}",
        way.there("echo performance | {sudo}tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")
        + "  # before the first measurement: another governor is another device",
    )


def _frequency(told: Conditions) -> Finding:
    if told.clock_mhz is None:
        return Finding("frequency", "ok", "no clock is told of at rest")
    ends = (told.lowest_clock_mhz, told.highest_clock_mhz)
    range_ = f" of {ends[0]:g} to {ends[1]:g} MHz" if None not in ends else ""
    boost = {True: ", boost on", False: ", boost off", None: ""}[told.boost]
    return Finding("frequency", "ok", f"the clock is {told.clock_mhz:g} MHz{range_} at rest{boost}")


_POWER = "use the board's own power supply and a short cable (Raspberry Pi 4: 5 V, 3 A; 5: 5 V, 5 A), then: "
_COOL = "fit a heat sink or a fan, then: "


def _throttling(told: Conditions, way: Way) -> Iterator[Finding]:
    reboot = way.there("{sudo}reboot")
    if told.throttled is None:
        yield Finding("throttling", "ok", "the board does not tell of throttling")
    elif told.throttled:
        advice = (_POWER if "under-voltage" in told.throttled else _COOL) + reboot
        yield Finding(
            "throttling",
            "blocking",
            f"the board reports {told.throttled} at rest, and no timing is believed under that",
            advice,
        )
    elif told.throttled_since_boot:
        advice = (_POWER if "under-voltage" in told.throttled_since_boot else _COOL) + reboot
        yield Finding(
            "throttling", "advice", f"since it was started, the board has met: {told.throttled_since_boot}", advice
        )
    else:
        yield Finding("throttling", "ok", "no throttling and no under-voltage since it was started")


def _at_rest(told: Conditions) -> Finding:
    if not told.temperatures_c:
        return Finding("temperature", "ok", "no temperature is told of at rest")
    hottest = max(told.temperatures_c.values())
    text = f"it has {hottest:.0f} °C at rest"
    if hottest <= MOST_AT_REST_C:
        return Finding("temperature", "ok", text)
    return Finding("temperature", "advice", f"{text}, which leaves little until it slows down", _COOL + "look again")


def _other_load(told: Conditions, way: Way) -> Finding:
    if told.busy_cpus is None:
        return Finding("other load", "ok", f"the load average is {told.load:.2f}")
    text = f"other programs keep {told.busy_cpus:.2f} of {told.machine.cores or '?'} CPUs busy"
    if told.busy_cpus <= MOST_BUSY_CPUS:
        return Finding("other load", "ok", text)
    named = ", ".join(f"{one.name} (process {one.process}) {one.percent:.0f}%" for one in told.busiest)
    numbers = " ".join(str(one.process) for one in told.busiest)
    if numbers:
        mend = way.there(f"kill {numbers}") + "  # if you can do without; for a service: systemctl stop NAME"
    else:
        mend = way.there("top -b -n 1")
    return Finding("other load", "advice", text + (f": {named}" if named else ""), mend)


def _stolen(told: Conditions) -> Finding:
    if told.stolen_percent is None:
        return Finding("host", "ok", "it is a virtual machine, and does not tell what its host takes")
    text = f"the host of this virtual machine took {told.stolen_percent:.1f}% of its time"
    if told.stolen_percent <= MOST_STOLEN_PERCENT:
        return Finding("host", "ok", text)
    return Finding("host", "advice", text, "measure when its neighbours are idle, or on a machine of its own")


def _memory(told: Conditions, way: Way) -> Finding:
    if told.memory_available_mb is None:
        return Finding("memory", "ok", "no memory is told of")
    swap, free = told.swap_mb or 0, told.swap_free_mb or 0
    text = f"{told.memory_available_mb:,} MiB of memory are available"
    text += f", {swap - free:,} of {swap:,} MiB swap are used" if swap else ", there is no swap"
    if told.swapped_pages:
        text = f"it swapped {told.swapped_pages:,} pages within two seconds; {text}"
    elif told.memory_available_mb >= ENOUGH_MEMORY_MB:
        return Finding("memory", "ok", text)
    mend = way.there("{sudo}swapoff -a") + "  # when what takes the memory has ended"
    return Finding("memory", "advice", text, mend)
