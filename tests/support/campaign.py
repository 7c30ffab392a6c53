"""A seeded campaign of faults against a board over SSH: a broken way, broken and hostile answers, other servers."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil

from tests.support import fake_answers
from tests.support.bad_answers import HELLOS, HOSTILE, LINES, NEEDED
from tests.support.faults import FaultyProxy
from tests.support.ssh_probes import later
from tests.support.sshd import Sshd

#: Login shells of every family of quoting, as `tests/device/test_login_shells.py` tries them one by one.
SHELLS = [name for name in ("bash", "dash", "tcsh", "bsd-csh", "fish", "busybox") if shutil.which(name)]

#: What comes before a runner's first word, without end or beyond measure.
GREETINGS = ("yes welcome", "head -c 3000000 /dev/zero; sleep 9", "while :; do echo welcome; sleep 0.02; done")


class Campaign:
    """Injects so many faults while three times as many probes are measured, each at a random moment of one of them.

    Every kind comes equally often, in an order that the seed decides. `injected` counts them by kind.
    """

    def __init__(self, server: Sshd, proxy: FaultyProxy, faults: int, seed: int) -> None:
        self.server, self.proxy, self.rng = server, proxy, np.random.default_rng(seed)
        self.injected: Counter[str] = Counter()
        self.kinds: dict[str, Callable[[], None]] = {**self._of_the_way(), **self._of_answers(), **self._of_servers()}
        names = [name for _ in range(0, faults, len(self.kinds)) for name in self.rng.permutation(list(self.kinds))]
        places = self.rng.choice(3 * faults, faults, replace=False)
        self._plan = dict(zip(map(int, places), map(str, names), strict=False))
        self._orders, self._greeting, self._shell = (server.folder / name for name in ("orders", "greeting", "shell"))
        self._orders.mkdir()
        self._given, self._shells = 0, itertools.cycle(self.rng.permutation(SHELLS))
        server.set_prelude(
            f"if mv '{self._greeting}' '{self._greeting}.taken' 2>/dev/null; then . '{self._greeting}.taken'; fi\n"
            f"'{sys.executable}' \"$@\" | tee -p -a '{server.sent}' | "
            f"'{sys.executable}' -S -E '{fake_answers.__file__}' '{self._orders}'\n"
            "exit ${PIPESTATUS[0]}"
        )
        login = server.folder / "login-shell"
        login.write_text(
            f"#!/bin/sh\nHOME='{server.folder}'; export HOME\n"
            f"exec $(cat '{self._shell}') -c \"$SSH_ORIGINAL_COMMAND\"\n"
        )
        login.chmod(0o755)
        self._command = f"ForceCommand {login}"
        self._choose_shell()
        server.kill()
        server.start(self._command)

    def during(self, i: int) -> None:
        """Inject what is planned for the i-th probe that is built."""
        if (name := self._plan.pop(i, None)) is not None:
            self.injected[name] += 1
            self.kinds[name]()

    @property
    def orders_left(self) -> int:
        """How many answers and greetings were to be broken and have not been."""
        return len(list(self._orders.glob("*.json"))) + self._greeting.exists()

    def _soon(self, work: Callable[[], Any]) -> Callable[[], None]:
        return lambda: later(float(self.rng.uniform(0, 0.04)), work)

    def _of_the_way(self) -> dict[str, Callable[[], None]]:
        proxy, rng = self.proxy, self.rng

        def stall() -> None:
            proxy.stall()
            later(3, proxy.flow)

        def refuse() -> None:
            proxy.refuse()
            later(0.5, proxy.accept)

        def kill_runner() -> None:
            for runner in self.server.runners():
                with contextlib.suppress(psutil.NoSuchProcess):
                    runner.kill()

        def freeze_runner() -> None:
            for runner in self.server.runners():
                with contextlib.suppress(psutil.NoSuchProcess):
                    runner.suspend()
                    later(4, lambda runner=runner: runner.is_running() and runner.resume())

        kinds: dict[str, Callable[[], Any]] = {
            "cut": proxy.cut,
            "polite cut": lambda: proxy.cut(reset=False),
            "cut in an upload": lambda: proxy.cut_after(int(rng.integers(1, 6000))),
            "cut in an answer": lambda: proxy.cut_after(int(rng.integers(1, 400)), "down"),
            "corrupted answer": lambda: proxy.corrupt(int(rng.integers(1, 50))),
            "corrupted upload": lambda: proxy.corrupt(int(rng.integers(1, 50)), "up"),
            "refused": refuse,
            "stall": stall,
            "killed runner": kill_runner,
            "frozen runner": freeze_runner,
        }
        return {name: self._soon(work) for name, work in kinds.items()}

    def _of_answers(self) -> dict[str, Callable[[], None]]:
        rng = self.rng

        def answer(**order: Any) -> None:
            self._given += 1
            path = self._orders / f"{self._given:04}"
            path.write_text(json.dumps(order))
            path.rename(path.with_suffix(".json"))

        def impossible() -> None:
            name, value = HOSTILE[rng.integers(len(HOSTILE))]
            answer(type="result", change={name: value})

        def greeting() -> None:
            self._greeting.write_text(GREETINGS[rng.integers(len(GREETINGS))])
            self.proxy.cut()

        def impossible_greeting() -> None:
            answer(type="hello", change=HELLOS[rng.integers(len(HELLOS))])
            self.proxy.cut()

        def other_version() -> None:
            answer(type="hello", change={"runner": "0.0.1\x1b[2J"})
            self.proxy.cut()

        return {
            "impossible timing": impossible,
            "timing without a field": lambda: answer(type="result", drop=str(rng.choice(NEEDED))),
            "line that is no answer": lambda: answer(type="result", line=LINES[rng.integers(len(LINES))].decode()),
            "answer to another question": lambda: answer(type="result", change={"id": "another"}),
            "answer twice": lambda: answer(type="result", twice=True),
            "half an answer, then silence": lambda: answer(type="result", half=True),
            "runner that gives up": lambda: answer(type="result", change={"type": "fatal", "error": "\x1b[2Jenough"}),
            "greeting without end": greeting,
            "impossible hello": impossible_greeting,
            "runner of another version": other_version,
        }

    def _of_servers(self) -> dict[str, Callable[[], None]]:
        def restart(*lines: str) -> None:
            self.server.kill()
            later(0.5, lambda: self.server.start(self._command, *lines))

        def other_shell() -> None:
            self._choose_shell()
            self.proxy.cut()

        kinds = {
            "reboot": restart,
            "reboot to MaxSessions 1": lambda: restart("MaxSessions 1"),
            "another login shell": other_shell,
        }
        return {name: self._soon(work) for name, work in kinds.items()}

    def _choose_shell(self) -> None:
        name = str(next(self._shells))
        fresh = self._shell.with_suffix(".new")
        fresh.write_text(f"{shutil.which(name)}{' sh' * (name == 'busybox')}\n")
        fresh.replace(self._shell)
