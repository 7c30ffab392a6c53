"""Write a named architecture as the only candidate, with what the regressions predict of it."""

from pathlib import Path

from foxnas import cli
from foxnas.files.tables import write_table
from foxnas.search.candidates import candidate_rows, describe_as_they_are
from foxnas.search.landscape import Landscape
from foxnas.space.space import SearchSpace


def main(
    *, made_by: cli.MadeBy, space: SearchSpace, arch: str, accuracy: Path, latency: Path, candidates: Path
) -> None:
    """Write one row; the predictors are those of the architecture's image size."""
    landscape = Landscape.load(space, [accuracy], [latency])
    described = describe_as_they_are(landscape, [space.parse(arch)])
    write_table(candidates, candidate_rows(("named", candidate) for candidate in described), made_by)


if __name__ == "__main__":
    cli.run(main)
