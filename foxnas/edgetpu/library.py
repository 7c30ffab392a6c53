"""The Edge TPU's library: which interpreters it is known to crash with, and what only a device's owner can install."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foxnas.device.provisioning.survey import Survey

_STICK_GROUP = "plugdev"


@dataclass(frozen=True)
class Combination:
    """What is known of an interpreter with Google's or another Edge TPU library, on some system.

    Parameters
    ----------
    works
        True: reported or tried to work; False: reported to crash; None: nobody is known to have tried.
    source
        Where that is from.
    """

    system: str
    python: str
    interpreter: str
    libedgetpu: str
    works: bool | None
    source: str


#: Nothing of this was tried by us on Edge TPU hardware; the interpreters without a delegate were.
COMBINATIONS = (
    Combination("Debian 12, 64-bit Arm (emulated)", "3.11", "ai-edge-litert 2.3.0", "none", True, "our tests"),
    Combination("Debian 12, x86-64", "3.11", "ai-edge-litert 2.3.0", "none", True, "our tests"),
    Combination(
        "Raspberry Pi OS 11", "3.9", "tflite-runtime 2.5.0.post1", "16.0 (Google, built with TF 2.5)", True,
        "google-coral/edgetpu, thread 660",
    ),
    Combination(
        "any", "3.7 - 3.9", "tflite-runtime up to 2.11", "16.0 (Google, built with TF 2.5)", True,
        "google-coral/edgetpu, thread 812: broken from 2.12 on; thread 821 reports crashes from 2.10 on",
    ),
    Combination(
        "Raspberry Pi OS 11 and 12", "3.9 - 3.11", "tflite-runtime 2.12 and later", "16.0 (Google, built with TF 2.5)",
        False, "google-coral/edgetpu, threads 812 and 821: segmentation fault",
    ),
    Combination(
        "Debian 11 and 12, x86-64 and Arm", "3.9 - 3.11", "tflite-runtime 2.11.1 - 2.17",
        "16.0TF2.17.0-1 (feranick/libedgetpu)", True, "release notes of feranick/libedgetpu",
    ),
    Combination(
        "any", "3.12 and later", "ai-edge-litert", "16.0TF2.17 or later (feranick/libedgetpu)", None, "untried",
    ),
    Combination(
        "any", "any", "ai-edge-litert", "16.0 (Google, built with TF 2.5)", None,
        "untried; every tflite-runtime from 2.12 on crashes with it",
    ),
)  # fmt: skip


def open_questions(found: Survey, requirements: Sequence[str]) -> list[str]:
    """Return what provisioning cannot do itself, one sentence each with the exact commands; empty if nothing."""
    said = []
    libraries = {name: version for name, version in found.packages.items() if name.startswith("libedgetpu1")}
    stock = [version for version in libraries.values() if "tf" not in version.lower()]
    google = (
        "set up Coral's package source as https://coral.ai/docs/accelerator/get-started says, then "
        f"{found.sudo}apt-get update && {found.sudo}apt-get install libedgetpu1-std"
    )
    newer = (
        "get libedgetpu1-std for this system from https://github.com/feranick/libedgetpu/releases, then "
        f"{found.sudo}apt-get install ./libedgetpu1-std_*.deb"
    )
    needs_newer = not any(r == "tflite-runtime==2.11.0" for r in requirements)
    if not libraries:
        said.append(f"no libedgetpu is installed as a package: {newer if needs_newer else google}")
    elif stock and needs_newer:
        said.append(
            f"libedgetpu {stock[0]} is known to crash with {requirements[0].replace('==', ' ')} "
            f"(tflite-runtime up to 2.11 works with it): {newer}"
        )
    if not found.corals:
        said.append("no Edge TPU is seen: plug it in; for a PCI card the driver is missing (gasket-dkms)")
    elif any(coral.startswith("usb") for coral in found.corals):
        if not found.udev_rules:
            rules = r"\n".join(
                f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor}", GROUP="{_STICK_GROUP}"'
                for vendor in ("1a6e", "18d1")
            )
            said.append(
                f"no udev rule lets users reach the stick: printf '{rules}\\n' | {found.sudo}tee "
                f"/etc/udev/rules.d/99-edgetpu.rules && {found.sudo}udevadm control --reload-rules && "
                f"{found.sudo}udevadm trigger, then plug it in anew"
            )
        if not found.root and _STICK_GROUP not in found.groups:
            said.append(
                f"{found.user} is not in the group {_STICK_GROUP}: {found.sudo}usermod -aG {_STICK_GROUP} "
                f"{found.user}, then log in anew"
            )
    return said


def known_combinations(interpreter: str) -> str:
    """Return the rows of `COMBINATIONS` with an Edge TPU library that name an interpreter, as one sentence."""
    rows = [c for c in COMBINATIONS if c.libedgetpu != "none" and c.interpreter.split(" ")[0] == interpreter]
    words = {True: "works", False: "crashes", None: "is unknown"}
    return "known: " + "; ".join(
        f"{c.interpreter} (Python {c.python}) with libedgetpu {c.libedgetpu} {words[c.works]}" for c in rows
    )
