"use strict";
// The frontier as a chart; the table below it has its numbers.

// The plotting area, in the pixels of the chart's view box.
const AREA = { left: 54, right: 746, top: 12, bottom: 266 };

// Round values between two ends, at most about `count`.
function ticks([low, high], count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

// Values between two ends onto pixels; what lies outside is drawn at the edge.
function scale([low, high], start, stop) {
  return (value) => start + (Math.min(Math.max(value, low), high) - low) / (high - low || 1) * (stop - start);
}

// Elements are appended to an SVG in its own namespace.
function pen(svg) {
  return (tag, look, attributes, words = "") => {
    const made = document.createElementNS(svg.namespaceURI, tag);
    for (const [name, value] of Object.entries({ class: look, ...attributes })) made.setAttribute(name, value);
    made.textContent = words;
    svg.append(made);
  };
}

function drawAxes(draw, ends, x, y, [accuracy, latency]) {
  const { left, right, top, bottom } = AREA, said = (tick) => String(Number(tick.toPrecision(6)));
  for (const tick of ticks(ends.x, 8)) {
    draw("path", "grid", { d: `M${x(tick)} ${top}V${bottom}` });
    draw("text", "tick", { x: x(tick), y: bottom + 14, "text-anchor": "middle" }, said(tick));
  }
  for (const tick of ticks(ends.y, 6)) {
    draw("path", "grid", { d: `M${left} ${y(tick)}H${right}` });
    draw("text", "tick", { x: left - 6, y: y(tick) + 3.5, "text-anchor": "end" }, said(tick));
  }
  draw("path", "axis", { d: `M${left} ${top}V${bottom}H${right}` });
  const label = { "text-anchor": "middle" }, named = ({ name, unit }) => `predicted ${name}, ${unit}`;
  draw("text", "label", { ...label, x: (left + right) / 2, y: 294 }, named(latency));
  draw("text", "label", { ...label, transform: "translate(12 139) rotate(-90)" }, named(accuracy));
}

// The frontier of all architectures, of the allowed ones once it is known, the budget, and the best within it with its
// intervals.
function drawFrontier(svg, whole, points, budget, [accuracy, latency]) {
  const first = whole[0], last = whole[whole.length - 1], margin = (last.accuracy - first.accuracy || 1) * 0.06;
  const lowest = Math.min(...[first, ...points.slice(0, 1)].map((point) => point.accuracy)) - margin;
  const ends = { x: [first.latency, last.latency], y: [lowest, last.accuracy + margin] };
  const x = scale(ends.x, AREA.left, AREA.right), y = scale(ends.y, AREA.bottom, AREA.top), draw = pen(svg);
  // In steps: between two architectures of the frontier there is none.
  const across = ({ latency: ms }) => x(ms).toFixed(1), up = ({ accuracy: value }) => y(value).toFixed(1);
  const steps = ([start, ...others]) => [
    `M${across(start)} ${up(start)}`, ...others.map((point) => `H${across(point)}V${up(point)}`), `H${AREA.right}`,
  ].join("");
  svg.replaceChildren();
  drawAxes(draw, ends, x, y, [accuracy.target, latency.target]);
  draw("path", "line everything", { d: steps(whole) });
  if (points.length) draw("path", "line frontier", { d: steps(points) });
  draw("path", "line budget", { d: `M${x(budget)} ${AREA.top}V${AREA.bottom}` });
  const ms = latency.prediction, value = accuracy.prediction, px = x(ms.value), py = y(value.value);
  const whiskers = `M${x(ms.lower)} ${py}H${x(ms.upper)}M${px} ${y(value.lower)}V${y(value.upper)}`;
  draw("path", "line deployed", { d: whiskers });
  draw("path", "mark deployed", { d: `M${px} ${py - 7}l7 7l-7 7l-7 -7z` });
}
