"""Compile exported models for an Ethos-U, and estimate their latency."""

import logging
from pathlib import Path

from foxnas import cli
from foxnas.device.kinds import kind_of
from foxnas.device.npu import EstimatedConfig
from foxnas.ethosu.table import as_table, identity, over, row_of
from foxnas.ethosu.vela import Vela
from foxnas.ethosu.verdict import as_latency
from foxnas.files.progress import follow
from foxnas.files.tables import read_table, replacing, write_json, write_table


def main(
    *,
    made_by: cli.MadeBy,
    device: EstimatedConfig,
    vela: str,
    memory: dict[str, int],
    exported: Path,
    models: Path,
    compiled_models: Path,
    table: Path,
    latencies: Path,
) -> None:
    """Write `compiled_models`/<id>.tflite for every model that Vela compiles, a row for each, and the estimates.

    A model of which operators fall back to the CPU has no estimate, so that it cannot win; nor can one that uses more
    memory than `memory` allows.
    """
    chosen, program = read_table(exported, ["id", "arch"]), Vela(vela, device)
    compiled_models.mkdir(parents=True, exist_ok=True)
    rows = []
    for row in follow(chosen.itertuples(), len(chosen), f"candidates compiled for {device.name}"):
        content = kind_of(device.kind).prepared(models / f"{row.id}.tflite")
        found = program.compile(content)
        said = row_of(str(row.id), str(row.arch), found, device.accelerator_config, len(content))
        if said["usable"] and (broken := over(said, memory)):
            said |= {"usable": False, "reason": broken}
        rows.append(said)
        if found.content is not None:
            with replacing(compiled_models / f"{row.id}.tflite") as temporary:
                temporary.write_bytes(found.content)
    compiled = as_table(rows)
    for row in compiled[~compiled["usable"]].itertuples():
        logging.warning("%s cannot win: %s", row.arch, row.reason)
    made_by |= {"identity": identity(device, program)}
    write_table(table, compiled, made_by)
    usable = compiled[compiled["usable"]]
    estimated = {str(name): as_latency(float(ms)) for name, ms in zip(usable["id"], usable["latency_ms"], strict=True)}
    write_json(latencies, {"made_by": made_by, "identity": made_by["identity"], "models": estimated})


if __name__ == "__main__":
    cli.run(main)
