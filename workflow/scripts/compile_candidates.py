"""Compile exported models for the Edge TPU."""

from functools import partial
from pathlib import Path

from foxnas import cli
from foxnas.device.config import CompilerLimits
from foxnas.edgetpu.cache import CompileCache
from foxnas.edgetpu.compiler import Compiler
from foxnas.edgetpu.table import compile_models, compiled
from foxnas.errors import FoxnasError
from foxnas.files.seal import read_model
from foxnas.files.tables import read_table, replacing, write_table


def main(
    *,
    made_by: cli.MadeBy,
    limits: CompilerLimits,
    executable: str,
    exported: Path,
    models: Path,
    cache: Path,
    compiled_models: Path,
    table: Path,
) -> None:
    """Write `compiled_models`/<id>.tflite for every model of `exported` that could be compiled, and a row for each."""
    chosen = read_table(exported, ["id", "arch"])
    program, kept = Compiler(executable, **limits.model_dump()), CompileCache(cache)
    described = [(row.id, row.arch, partial(read_model, models / f"{row.id}.tflite")) for row in chosen.itertuples()]
    rows = compile_models(described, program, kept)
    usable = compiled(rows)
    if len(rows) and usable.empty:
        raise FoxnasError(f"none of the {len(rows)} exported models could be compiled: {rows['reason'].iloc[0]}")
    compiled_models.mkdir(parents=True, exist_ok=True)
    for row in usable.itertuples():
        with replacing(compiled_models / f"{row.id}.tflite") as temporary:
            temporary.write_bytes(kept.read(str(row.key)))
    write_table(table, rows, made_by | {"edgetpu_compiler": program.version})


if __name__ == "__main__":
    cli.run(main)
