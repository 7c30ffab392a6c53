"""The configuration that a run uses: which files it consists of, and what is kept of it beside the results."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from foxnas.config.reading import Layer, read_layer, refuse, typed
from foxnas.config.whole import Config, load_config
from foxnas.files.tables import replacing
from foxnas.flow.snakemake_private import config_sources

_SOURCE = "the configuration"


def configured(workflow: Any, config: Mapping[str, Any]) -> Config:
    """Return the validated configuration of a workflow, given Snakemake's `config`.

    Snakemake lays config files over one another, then `--config`, and keeps neither lines nor repeated keys nor, in
    `--config`, what is a number. So the same files are read again here; where they do not give `config`, because an
    including workflow made it of something else than a section of them, it is taken as it is. Raises FoxnasError.
    """
    files, typed_in = config_sources(workflow)
    layers = [read_layer(file) for file in files]
    whole, wanted = _merged([*(layer.value for layer in layers), typed_in]), _plain(config)
    if _plain(whole) == wanted:
        layers.append(typed(typed_in, "--config"))
    elif sections := [key for key, value in whole.items() if _plain(value) == wanted]:
        layers = [layer.section(sections[0]) for layer in (*layers, typed(typed_in, "--config"))]
    else:
        layers = [typed(config, "in the including workflow's config", set(_texts(typed_in)))]
    return _loaded(layers)


def keep(config: Config, file: Path) -> None:
    """Write a configuration, every key spelt out, such that `--configfile` takes it again."""
    with replacing(file) as temporary:
        temporary.write_text(
            yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=120)
        )


def _loaded(layers: list[Layer]) -> Config:
    refuse([problem for layer in layers for problem in layer.problems], _SOURCE)
    places: dict[str, str] = {}
    for layer in layers:
        # A list replaces another as a whole, and with it the lines of what stood there.
        lists = tuple({found[1] for found in map(re.compile(r"(.+?\.)\d+(?:\.|$)").match, layer.places) if found})
        places = {key: place for key, place in places.items() if not key.startswith(lists)} | layer.places
    return load_config(_merged([layer.value for layer in layers]), _SOURCE, places)


def _merged(values: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for value in values:
        update_config(whole, copy.deepcopy(value))
    return whole


def _plain(value: Any) -> Any:
    """Return the value such that equal ones are equal, also where they hold a NaN."""
    return json.loads(json.dumps(value, default=str), parse_constant=str)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for below in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(below)
