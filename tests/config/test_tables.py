"""Configurations of a run on tables of the user's: what they need, what they may leave out, what contradicts them."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest

from foxnas.config.whole import load_config
from foxnas.errors import FoxnasError
from foxnas.flow import rounds
from tests.support.config_documents import schema_text
from tests.support.configs import written_out

LEAST: dict[str, Any] = {
    "space": "mini",
    "accuracy": {"source": "table", "table": {"file": "mine.csv"}},
    "devices": [{"name": "mine", "kind": "table", "table": {"file": "mine-{size}.csv"}}],
    "budgets": ["p50"],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(LEAST)
    *parents, last = path.split(".")
    place: Any = raw
    for key in parents:
        place = place[int(key)] if key.isdigit() else place.setdefault(key, {})
    place[last] = value
    return raw


def test_images_and_supernet_may_be_left_out_or_stay() -> None:
    config = load_config(LEAST, "mine.yaml")
    assert (config.data, config.supernet, config.verifies) == (None, None, False)
    assert rounds.names(config) == ["round-1"]
    assert rounds.twists(config) == rounds.finished(config) == []
    demo = written_out("config")
    both = load_config({**demo, **{key: LEAST[key] for key in ("accuracy", "devices")}, "predictors": {}}, "mine.yaml")
    assert both.data == load_config(demo, "mine.yaml").data
    again = load_config(config.model_dump(mode="json"), "kept.yaml")
    assert again == config


def test_the_schema_that_editors_read_asks_for_images_only_where_they_are_read() -> None:
    schema = json.loads(schema_text())
    jsonschema.validate(LEAST, schema)
    for key in ("data", "supernet"):
        raw = {name: value for name, value in written_out("config").items() if name != key}
        with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
            jsonschema.validate(raw, schema)


def test_a_file_is_one_or_one_per_image_size() -> None:
    config = load_config(LEAST, "mine.yaml")
    assert config.accuracy.table
    assert config.devices[0].table
    assert config.accuracy.table.files([16, 24]) == ["mine.csv"]
    assert config.devices[0].table.files([16, 24]) == ["mine-16.csv", "mine-24.csv"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (changed("accuracy.table", None), r"accuracy.table is null, but accuracy.source is table: write {file: mine"),
        (changed("accuracy.source", "supernet") | {"data": None, "supernet": None}, r"accuracy.table is for source: "),
        (changed("devices.0.table", None), r"devices.0.table is null, but mine is a table device: write {file: mine"),
        (changed("devices.0.ssh", {"host": "pi"}), r"devices.0.ssh: mine is a table device, which nothing connects"),
        (changed("devices.0.kind", "tflite"), r"devices.0.table is for table devices, mine is tflite: write null"),
        (
            changed("devices", [*LEAST["devices"], {"name": "pi", "kind": "tflite"}]),
            r"devices.1.kind is tflite, but accuracy.source is table: .* give it the latency-pi.csv of a run",
        ),
        (
            {**written_out("config"), "devices": LEAST["devices"]},
            r"devices.0.kind is table, but accuracy.source is supernet: .* give it the accuracy.csv of a run",
        ),
        ({**written_out("config"), "data": None}, r"data is null, but accuracy.source is supernet; write a section"),
        (changed("predictors.accuracy_target", "probability"), r"but accuracy.table has one accuracy of each"),
        (changed("finishing.epochs", 3), r"finishing.epochs trains on images, of which a run on tables has none"),
        (
            changed("predictors.further_targets", [{"name": "p90", "column": "p90_ms", "unit": "ms"}]),
            r"predictors.further_targets.0.column is p90_ms, .* give the target a table of its own",
        ),
        (changed("accuracy.table.unit", "percents"), r"'percents' is not .*; did you mean percent\?"),
        (changed("accuracy.table.colum", "x"), r"accuracy.table.colum: unknown key; did you mean column\?"),
        (changed("devices.0.table.unit", "us"), r"column is latency_ms, but unit is us; write unit: ms"),
        (changed("devices.0.table.file", "{device}.csv"), r"has \{device\} in it, which is a wildcard"),
        (changed("accuracy.table.file", "<b>.csv"), r"accuracy.table.file: '<b>.csv' has <b> in it"),
    ],
)
def test_what_contradicts_a_table_is_refused_with_the_way_out(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(FoxnasError, match=message):
        load_config(raw, "mine.yaml")
