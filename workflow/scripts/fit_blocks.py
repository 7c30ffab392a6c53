"""Fit the latency predictor of one image size on a device that times blocks."""

import logging
from pathlib import Path

from foxnas import cli
from foxnas.files.tables import write_json
from foxnas.predictor.block_table import ACCEPTED_PERCENT, BLOCKS, of_table, read_blocks
from foxnas.predictor.forms import SUM_OF_LAYERS
from foxnas.predictor.likeness import Likening, held_out_error_percent, held_out_share
from foxnas.predictor.mix import BY_BLOCKS
from foxnas.predictor.sampled import Sampled
from foxnas.space.blocks import Blocks
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    folds: int,
    seed: int,
    image_size: int,
    table: Path,
    blocks: Path,
    sum_of_blocks: Path,
    predictor: Path,
    fits: Path,
) -> None:
    """Write the sum of the blocks, and the same calibrated by the subnets that were timed, with its held-out error."""
    block_ms = read_blocks(blocks, space, image_size)
    summed = of_table(space, image_size, block_ms)
    sampled = Sampled.read(space, table, BY_BLOCKS)
    archs, y = sampled.archs, sampled.latency_ms
    likening = Likening({BLOCKS: summed}, sampled.population)
    fitted = likening.fit(space, image_size, archs, y, target="latency", unit="ms", folds=folds, seed=seed)
    error_percent = held_out_error_percent(fitted)
    if error_percent > ACCEPTED_PERCENT:
        logging.warning(
            "%d px: 95%% of timed subnets lie within %.1f%% of what the fit to the others predicts, which is beyond "
            "%g%%: on this device a subnet takes more or less than its blocks. To time all sampled subnets instead, "
            "give it `latency: {plan: subnets}`",
            image_size, error_percent, ACCEPTED_PERCENT,
        )  # fmt: skip
    made_by |= {"flagged": sampled.flagged}
    summed.save(sum_of_blocks, made_by)
    fitted.save(predictor, made_by)
    key = f"latency/{SUM_OF_LAYERS}"
    found = {
        "blocks": len(Blocks(space).at[image_size]),
        "usable_blocks": len(block_ms),
        "sampled": len(sampled.population),
        "timed": sampled.timed,
        "weight": likening.record(archs, y)["weights"][BLOCKS],
        "error_percent": error_percent,
        "accepted_percent": ACCEPTED_PERCENT,
        "within_percent": {str(percent): held_out_share(fitted, percent) for percent in (5, 10)},
    }
    described = {"chosen": key, "flagged": sampled.flagged, "fits": {key: fitted.to_json()}, "blocks": found}
    write_json(fits, {"made_by": made_by, **described})


if __name__ == "__main__":
    cli.run(main)
