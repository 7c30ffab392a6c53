"""Compile one shard of probes for the Edge TPU."""

from functools import partial
from pathlib import Path

from foxnas import cli
from foxnas.device.config import CompilerLimits
from foxnas.edgetpu.cache import CompileCache
from foxnas.edgetpu.compiler import Compiler
from foxnas.edgetpu.table import compile_models
from foxnas.files.tables import read_table, write_table
from foxnas.int8.probe import ProbeWriter
from foxnas.space.sampling_config import SampleConfig
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    limits: CompilerLimits,
    executable: str,
    sample: SampleConfig,
    subnets: Path,
    cache: Path,
    probes: Path,
    references: Path,
) -> None:
    """Write a row per subnet, compiled or not; and one for each model that may serve as the reference."""
    writer = ProbeWriter(space)
    chosen = read_table(subnets, ["id", "arch"])
    archs = [space.parse(str(text)) for text in chosen["arch"]]
    extremes = [space.largest(space.image_sizes[0]), space.smallest(space.image_sizes[0])]
    program, kept = Compiler(executable, **limits.model_dump()), CompileCache(cache)
    made_by |= {"edgetpu_compiler": program.version}
    for models, table in ((archs, probes), (extremes, references)):
        described = [(arch.id, arch.text, partial(writer.write, arch)) for arch in models]
        write_table(table, compile_models(described, program, kept), made_by)


if __name__ == "__main__":
    cli.run(main)
