"""Measure an off-the-shelf network's int8 file on the verify and on the test split."""

from pathlib import Path

from foxnas import cli
from foxnas.files.arrays import load_array
from foxnas.files.seal import read_model
from foxnas.files.tables import write_json
from foxnas.int8.serving import score
from foxnas.verdict.paired import packed


def main(
    *,
    made_by: cli.MadeBy,
    xnnpack: bool,
    model: Path,
    verify_images: Path,
    verify_labels: Path,
    test_images: Path,
    test_labels: Path,
    threads: int,
    result: Path,
) -> None:
    """Write top-1 on both splits, on the verify split also the mean probability, and which test images it got right."""
    content = read_model(model)
    truth = load_array(test_labels)
    correct = score(content, load_array(test_images, "r"), truth, threads, xnnpack).correct
    verified = score(content, load_array(verify_images, "r"), load_array(verify_labels), threads, xnnpack)
    write_json(
        result,
        {
            "made_by": made_by,
            "verify": verified.percent,
            "test_top1_percent": 100 * int(correct.sum()) / len(truth),
            "test_images": len(truth),
            "test_correct": packed(correct),
        },
    )


if __name__ == "__main__":
    cli.run(main)
