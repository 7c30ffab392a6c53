"""An architecture as a drawing: one bar per layer, as high as its expansion ratio, shaded by its kernel size."""

from __future__ import annotations

from markupsafe import Markup

from foxnas.report.svg import frame, text
from foxnas.space.arch import Arch
from foxnas.space.layers import FUSED, SQUEEZE_EXCITE
from foxnas.space.space import SearchSpace

_BAR, _GAP, _TOP, _TALLEST = 30, 3, 20, 64
_BETWEEN_UNITS = 22


def draw_architecture(space: SearchSpace, arch: Arch) -> Markup:
    """Return the drawing; K and E stand in every bar, depth is the number of bars of a unit."""
    deepest, base = space.depths[-1], _TOP + _TALLEST
    unit_width = deepest * (_BAR + _GAP)
    parts = []
    for place, (layers, unit) in enumerate(zip(arch.units, space.units, strict=True)):
        left = 2 + place * (unit_width + _BETWEEN_UNITS)
        parts.append(text(left, 11, f"unit {place + 1}: D {len(layers)}", "unit"))
        for i, (k, e) in enumerate(layers):
            height = _TALLEST * (0.35 + 0.65 * e / space.expansion_ratios[-1])
            x = left + i * (_BAR + _GAP)
            shade = space.kernel_sizes.index(k) * 2 // max(len(space.kernel_sizes) - 1, 1)
            parts.append(
                f'<rect class="layer k{shade}" x="{x}" y="{base - height:.1f}" width="{_BAR}" height="{height:.1f}" '
                f'rx="2"><title>unit {place + 1}, layer {i + 1}: kernel {k} x {k}, expansion ratio {e}</title></rect>'
            )
            parts.append(text(x + _BAR / 2, base - 17, f"K{k}", f"in-layer k{shade}", "middle"))
            parts.append(text(x + _BAR / 2, base - 5, f"E{e}", f"in-layer k{shade}", "middle"))
        parts.append(f'<path class="axis" d="M{left - 2} {base + 1.5}h{unit_width}"/>')
        kind = {SQUEEZE_EXCITE: ", SE", FUSED: ", fused"}.get(unit.type, "")
        stride = f", stride {unit.stride}" if unit.stride > 1 else ""
        parts.append(text(left, base + 14, f"{unit.width} wide{stride}{kind}", "tick"))
    width = 4 + len(arch.units) * (unit_width + _BETWEEN_UNITS) - _BETWEEN_UNITS + 20
    return frame(width, base + 20, "".join(parts), f"Architecture {arch.text}", "architecture")
