"""The designs a sample can have, as the config spells them; `foxnas.space.sampling` draws them.

Apart from that, so that what only passes a design's name on does not depend on how it is drawn: no measurement is made
again for it.
"""

from typing import Literal, get_args

Design = Literal["uniform", "i-optimal", "d-optimal"]
DESIGNS: tuple[Design, ...] = get_args(Design)
