"""One subnet made ready by itself."""

from torch import Tensor

from foxnas.accuracy.preparation import recalibrate
from foxnas.space.arch import Arch
from foxnas.supernet.model import Supernet
from foxnas.supernet.subnet import Subnet


def prepare_subnet(supernet: Supernet, arch: Arch, calibration: Tensor, batch_size: int) -> Subnet:
    """Return the folded static subnet with its own statistics."""
    return recalibrate(Subnet(supernet, arch), calibration.split(batch_size)).fold()
