"""A fork as a program of its own."""

from __future__ import annotations

import atexit
import os
import runpy
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn


def take_on(environment: Mapping[str, str], opened: Sequence[int]) -> None:
    """Have this environment, and these descriptors as standard input and outputs."""
    for descriptor, other in enumerate(opened):
        os.dup2(other, descriptor)
        os.close(other)
    os.environ.clear()
    os.environ.update(environment)


def become(words: Sequence[str]) -> NoReturn:
    """Be ``python -m MODULE ...``, ``python -c CODE ...`` or ``python SCRIPT ...`` from here on.

    It ends as the interpreter ends, but leaves to the kernel what it shares with its parent: to take that apart is to
    copy it, for 0.4 CPU seconds where torch is imported.
    """
    option, *rest = words
    folder = {"-c": "", "-m": str(Path.cwd())}.get(option, str(Path(option).resolve().parent))
    sys.path[:1] = [folder, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv, sys.orig_argv = [option, *(rest[1:] if option in ("-c", "-m") else rest)], [sys.executable, *words]
    status = 0
    try:
        if option == "-c":
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        elif option == "-m":
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(option, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):  # of a Snakemake that has ended, which would wait a second for it
            thread.cancel()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)
