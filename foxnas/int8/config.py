"""How candidates become int8 files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foxnas.settings.limits import Count
from foxnas.settings.section import Section

Exporter = Literal["foxnas", "tensorflow"]
Biases = Literal["corrected", "rounded"]


class ExportConfig(Section):
    """int8 export."""

    with_: Annotated[Exporter, Field(alias="with")] = "foxnas"
    """What writes the files. foxnas: this workflow itself, with the range of every value as its float network has it.
    tensorflow: TensorFlow's converter, an extra to install (`pip install -e '.[tensorflow]'`), which gives branches of
    residuals the range of the sum."""
    biases: Biases = "corrected"
    """corrected: the mean error that rounding makes in a layer's sums over the calibration images is taken out of its
    biases. rounded: biases are the float network's, rounded."""
    calibration_images: Count = 256
    """Images of the train split that set the int8 ranges."""

    @property
    def corrected(self) -> bool:
        """Whether biases take back what rounding shifts."""
        return self.biases == "corrected"
