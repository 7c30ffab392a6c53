"""How a budget's winner is finished."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from foxnas.images.symmetry import Symmetry
from foxnas.settings.limits import Above0, Count, Index, Least0, Seed
from foxnas.settings.section import Section
from foxnas.space.arch import Arch
from foxnas.supernet.training.recipe import ClassWeights, Phase, Recipe

#: The batch that a finished winner is of, beside those of the search and the twists.
FINISHED = "finished"


class FinishingConfig(Section):
    """The winner's own training, which starts from the weights that it inherits from the supernet.

    What was trained is deployed only if it is better on the verify split.
    """

    epochs: Index = 0
    """Passes over the train split that fine-tune the winner; 0: none."""
    learning_rate: Above0 = 0.001
    """Peak learning rate of AdamW, followed by a half cosine to zero."""
    batch_size: Count = 64
    """Images per step, each batch with its own batch-norm statistics."""
    warm_up_steps: Count = 50
    """Steps over which the learning rate rises at the very start."""
    weight_decay: Least0 = 0.0001
    """Weight decay of AdamW, on convolutions and the classifier."""
    distillation: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight of the teacher's soft labels against the true ones. The teacher is the supernet's largest subnet at the
    same image size; where rounding is learnt, the winner itself in float."""
    patience: Count | None = None
    """Epochs in a row that may be no better on the verify split before fine-tuning stops; the best epoch's weights are
    taken. null: all epochs, and the last one's, which most often is the best, since the learning rate ends at zero."""
    quantisation_aware_epochs: Index = 0
    """Passes over the train split in which the winner learns with the rounding of its int8 file, where int8 loses more
    than validation.max_drop_percent on the verify split; 0: none. Needs export.with: foxnas."""
    quantisation_aware_learning_rate: Above0 = 0.0001
    """Peak learning rate of AdamW in these."""
    seed: Seed = 0
    """Order of the images and their crops."""

    @property
    def on(self) -> bool:
        """Whether winners are finished at all."""
        return bool(self.epochs or self.quantisation_aware_epochs)

    def fine_tuning(self, arch: Arch, smallest_crop: float, class_weights: ClassWeights, symmetry: Symmetry) -> Recipe:
        """Return how one architecture is fine-tuned, on crops, turned, like those of the supernet's training."""
        return self._recipe(arch, smallest_crop, class_weights, symmetry, self.epochs, self.learning_rate)

    def quantisation_aware(
        self, arch: Arch, smallest_crop: float, class_weights: ClassWeights, symmetry: Symmetry
    ) -> Recipe:
        """Return how one architecture learns to be rounded, likewise; the teacher is what it was before."""
        return self._recipe(
            arch, smallest_crop, class_weights, symmetry,
            self.quantisation_aware_epochs, self.quantisation_aware_learning_rate,
        )  # fmt: skip

    def _recipe(
        self,
        arch: Arch,
        smallest_crop: float,
        class_weights: ClassWeights,
        symmetry: Symmetry,
        epochs: int,
        learning_rate: float,
    ) -> Recipe:
        layers = [layer for unit in arch.units for layer in unit]
        choices = (
            tuple(sorted({kernel for kernel, _ in layers})),
            tuple(sorted({expansion for _, expansion in layers})),
            tuple(sorted({len(unit) for unit in arch.units})),
        )
        return Recipe(
            seed=self.seed,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            warm_up_steps=self.warm_up_steps,
            distillation=self.distillation,
            smallest_crop=smallest_crop,
            class_weights=class_weights,
            symmetry=symmetry,
            # A rate that ends at zero averages already; a longer average would hold on to the inherited weights.
            average_decay=0.0,
            phases=(Phase(epochs, learning_rate, *choices),),
        )
