"""How subnets are evaluated."""

from __future__ import annotations

from foxnas.config.section import Count, Section


class AccuracyConfig(Section):
    """How subnets are evaluated."""

    recalibration_images: Count
    """Images of the train split that estimate every subnet's batch-norm statistics."""
    batch_size: Count
    """Images evaluated at once."""
