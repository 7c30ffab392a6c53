"""What parameters a function of a rule takes, looked up once a function instead of several times a job.

Snakemake (9.27.1) asks Python's `inspect` about every resource and input function of every job, three times each. With
ten devices, each of which is a resource, that was a fifth of a dry run (`python -m benchmarks.scale`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from snakemake import common, rules

_original = common.get_function_params


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return what `inspect` says of a function. Every job has methods of its own, so they go by their function."""
    if inspect.ismethod(function):
        return _of_method(function.__func__)
    return _of_function(function)


@lru_cache(maxsize=4096)
def _of_function(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return _original(function)


@lru_cache(maxsize=4096)
def _of_method(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    _, *names = (parameters := _original(function))
    return {name: parameters[name] for name in names}


def remember_signatures() -> None:
    """Let this process' Snakemake look at every function once. Twice is as good as once."""
    common.get_function_params = rules.get_function_params = parameters_of
