"""Sample one shard of subnets of one image size."""

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from foxnas import cli
from foxnas.files.progress import follow
from foxnas.files.tables import write_table
from foxnas.space import sampling
from foxnas.space.config import SpaceConfig
from foxnas.space.sampling_config import SampleConfig


def main(*, space: SpaceConfig, sample: SampleConfig, count: int, image_size: int, shard: int, subnets: Path) -> None:
    """Write the shard's `count` subnets of the size's one endless sequence."""
    generator = np.random.default_rng([sample.seed, image_size])
    sequence = sampling.subnets(sample.design, space.build(), image_size, generator)
    ends = (shard + 1) * count  # those of earlier shards are drawn again on the way
    chosen = islice(follow(sequence, ends, "subnets sampled"), shard * count, ends)
    table = pd.DataFrame([{"id": arch.id, "arch": arch.text} for arch in chosen])
    settings = {"space": space, "sample": sample, "image_size": image_size, "shard": shard, "count": count}
    write_table(subnets, table, cli.made_by(__file__, settings))


if __name__ == "__main__":
    cli.run(main)
