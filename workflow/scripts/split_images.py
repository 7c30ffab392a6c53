"""Deal the images out to the four splits."""

from importlib import metadata
from pathlib import Path

from foxnas import cli
from foxnas.files.tables import write_json
from foxnas.images.config import DataConfig
from foxnas.images.split_arrays import split_arrays
from foxnas.images.split_files import split_files


def main(
    *,
    made_by: cli.MadeBy,
    data: DataConfig,
    channels: int,
    classes: int,
    files: list[Path],
    labels: list[Path],
    record: Path,
    threads: int,
) -> None:
    """Write images (or the list of their files) beside the labels of every split, and record which went where."""
    source, target = files[0].parent, labels[0].parent
    if data.form == "csv":
        recorded = split_files(data, channels, classes, source / "images.csv", target, threads)
    else:
        recorded = split_arrays(data, channels, classes, source, target)
    made_by |= {"pillow": metadata.version("pillow")}  # which decodes the files
    write_json(record, {"made_by": made_by, "splits": recorded})


if __name__ == "__main__":
    cli.run(main)
