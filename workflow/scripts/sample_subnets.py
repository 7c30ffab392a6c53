"""Sample one shard of subnets of one image size."""

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from foxnas import cli
from foxnas.files.progress import follow
from foxnas.files.tables import write_table
from foxnas.space import sampling
from foxnas.space.sampling_config import SampleConfig
from foxnas.space.space import SearchSpace


def main(
    *,
    made_by: cli.MadeBy,
    space: SearchSpace,
    sample: SampleConfig,
    count: int,
    image_size: int,
    shard: int,
    subnets: Path,
) -> None:
    """Write the shard's `count` subnets of the size's one endless sequence."""
    generator = np.random.default_rng([sample.seed, image_size])
    sequence = sampling.subnets(sample.design, space, image_size, generator)
    ends = (shard + 1) * count  # those of earlier shards are drawn again on the way
    chosen = islice(follow(sequence, ends, "subnets sampled"), shard * count, ends)
    table = pd.DataFrame([{"id": arch.id, "arch": arch.text} for arch in chosen])
    write_table(subnets, table, made_by | {"image_size": image_size, "shard": shard})


if __name__ == "__main__":
    cli.run(main)
