"""Deal the images out to the four splits, in their scene."""

from pathlib import Path

import numpy as np

from foxnas import command
from foxnas.config.data import SceneConfig, SplitsConfig
from foxnas.data import LabelledImages, digest, load_fashion_mnist, set_in_scene, split_rows
from foxnas.tables import replacing, write_json


def main(
    *, seed: int, scene: SceneConfig | None, splits: SplitsConfig, source: Path, target: Path, record: Path
) -> None:
    """Write images and labels of every split, and record which image went where."""
    published, held_out = load_fashion_mnist(source)
    if scene is not None:
        published, held_out = (
            LabelledImages(
                set_in_scene(part.images, **scene.model_dump(), rng=np.random.default_rng([seed, number])), part.labels
            )
            for number, part in enumerate((published, held_out))
        )
    sizes = splits.model_dump()
    test = {"test": sizes.pop("test")}
    rows = split_rows(len(published.labels), sizes, seed)
    taken = {name: published.take(chosen) for name, chosen in rows.items()}
    rows |= split_rows(len(held_out.labels), test, seed)
    taken["test"] = held_out.take(rows["test"])
    recorded = {}
    for name, part in taken.items():
        for kind in ("images", "labels"):
            with replacing(target / f"{name}-{kind}.npy") as temporary:
                np.save(temporary, getattr(part, kind))
        recorded[name] = {
            "published": "test" if name == "test" else "train",
            "images": len(part.labels),
            "images_sha256": digest(part.images),
            "rows": rows[name].tolist(),
        }
    write_json(
        record,
        {"made_by": command.made_by(__file__, {"seed": seed, "scene": scene, "splits": splits}), "splits": recorded},
    )


if __name__ == "__main__":
    command.run(main)
