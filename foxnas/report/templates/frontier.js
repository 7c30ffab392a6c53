"use strict";
// The exact frontier of the predictors, as foxnas.search.strategies.exact finds it: unit by unit, what none beats.

// Bins of latency by which points are sifted before they are sorted: most of many are beaten by a lower bin.
const BINS = 1024;

// Doubles by index; many times faster than Float64Array.from, which goes through an iterator.
function doubles(length, of) {
  const found = new Float64Array(length);
  for (let i = 0; i < length; i += 1) found[i] = of(i);
  return found;
}

function combinationsWithRepeats(choices, count, from = 0) {
  if (!count) return [[]];
  return choices.slice(from).flatMap((choice, i) =>
    combinationsWithRepeats(choices, count - 1, from + i).map((rest) => [choice, ...rest]));
}

// Every unit, up to the order of its layers after the first, which no predictor tells apart; with the bits of the
// choices that it uses.
function everyUnit(space) {
  const layers = space.kernels.flatMap((k) => space.ratios.map((e) => [k, e]));
  const units = space.depths.flatMap((depth) =>
    layers.flatMap((first) => combinationsWithRepeats(layers, depth - 1).map((rest) => [first, ...rest])));
  const bits = (of) => Int32Array.from(units, of);
  return {
    units,
    depths: bits((unit) => bitsOf(space.depths, [unit.length])),
    kernels: bits((unit) => bitsOf(space.kernels, unit.map(([k]) => k))),
    ratios: bits((unit) => bitsOf(space.ratios, unit.map(([, e]) => e))),
  };
}

function bitsOf(choices, used) {
  return used.reduce((bits, choice) => bits | (1 << choices.indexOf(choice)), 0);
}

// What every unit adds to a fit's sum, place by place.
function unitTables(space, every, fit, columns) {
  const tables = space.units.map(() => new Float64Array(every.units.length));
  for (const { kind, unit, coefficient } of fit.terms) {
    const column = columns(kind), table = tables[unit];
    for (let i = 0; i < column.length; i += 1) table[i] += coefficient * column[i];
  }
  return tables;
}

// All that questions look up, computed once: `fits` has {accuracy, latency} for each image size.
function landscape(space, fits) {
  const every = everyUnit(space), variables = every.units.map((unit) => unitVariables(space, unit));
  const computed = new Map();
  const columns = (kind) => {
    if (!computed.has(kind)) computed.set(kind, doubles(variables.length, (i) => TERMS[kind](variables[i])));
    return computed.get(kind);
  };
  const sizes = fits.map(({ accuracy, latency }) => ({
    accuracy: unitTables(space, every, accuracy, columns), latency: unitTables(space, every, latency, columns),
  }));
  return { every, sizes, fits };
}

// Indices of the points that no other beats, latency ascending and accuracy strictly ascending; of equals the first.
function pareto(latency, accuracy) {
  const open = notBeatenByBins(latency, accuracy);
  open.sort((i, j) => latency[i] - latency[j] || accuracy[j] - accuracy[i] || i - j);
  let best = -Infinity;
  return open.filter((i) => accuracy[i] > best && ((best = accuracy[i]), true));
}

function notBeatenByBins(latency, accuracy) {
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < latency.length; i += 1) {
    low = Math.min(low, latency[i]);
    high = Math.max(high, latency[i]);
  }
  const scale = high > low ? BINS / (high - low) : 0, highest = new Float64Array(BINS + 1).fill(-Infinity);
  for (let i = 0; i < latency.length; i += 1) {
    const bin = Math.floor((latency[i] - low) * scale);
    if (accuracy[i] > highest[bin]) highest[bin] = accuracy[i];
  }
  // From here on, what is below each bin.
  let below = -Infinity;
  for (let bin = 0; bin <= BINS; bin += 1) [below, highest[bin]] = [Math.max(below, highest[bin]), below];
  const open = [];
  for (let i = 0; i < latency.length; i += 1) {
    if (accuracy[i] > highest[Math.floor((latency[i] - low) * scale)]) open.push(i);
  }
  return open;
}

// The units that a place may have, as indices into `every`; `allowed` lists its depths, kernels and ratios.
function allowedUnits(space, every, allowed) {
  const depths = bitsOf(space.depths, allowed.depths), kernels = bitsOf(space.kernels, allowed.kernels);
  const ratios = bitsOf(space.ratios, allowed.ratios), found = [];
  for (let i = 0; i < every.units.length; i += 1) {
    if (!(every.depths[i] & ~depths || every.kernels[i] & ~kernels || every.ratios[i] & ~ratios)) found.push(i);
  }
  return Int32Array.from(found);
}

// One image size's frontier: latency, sum of accuracy, and for each place how a point came about.
function frontierOfSize(tables, fits, known) {
  let latency = Float64Array.of(fits.latency.intercept), accuracy = Float64Array.of(fits.accuracy.intercept);
  const places = [];
  known.forEach((units, place) => {
    const pick = (table) => doubles(units.length, (i) => table[units[i]]);
    const unitLatency = pick(tables.latency[place]), unitAccuracy = pick(tables.accuracy[place]);
    const options = pareto(unitLatency, unitAccuracy);
    const latencies = sums(latency, options, unitLatency), accuracies = sums(accuracy, options, unitAccuracy);
    const kept = pareto(latencies, accuracies);
    places.push(kept.map((i) => [Math.floor(i / options.length), units[options[i % options.length]]]));
    latency = doubles(kept.length, (i) => latencies[kept[i]]);
    accuracy = doubles(kept.length, (i) => accuracies[kept[i]]);
  });
  return { latency, accuracy, places };
}

function sums(before, options, added) {
  const found = new Float64Array(before.length * options.length);
  let place = 0;
  for (const value of before) {
    for (const option of options) {
      found[place] = value + added[option];
      place += 1;
    }
  }
  return found;
}

// The frontier over image sizes; of each there are {size, units}: its place in the space, and the units that each place
// may have.
function frontier(landscape, options) {
  const parts = options.map(({ size, units }) => frontierOfSize(landscape.sizes[size], landscape.fits[size], units));
  const whole = parts.flatMap((part, i) => Array.from(part.latency, (latency, index) => {
    // Sums of two sizes may be of two scales, so that sizes meet as accuracies.
    const { size } = options[i], accuracy = inverse(landscape.fits[size].accuracy, part.accuracy[index]);
    return { latency, accuracy, size, part, index };
  }));
  return pareto(whole.map((point) => point.latency), whole.map((point) => point.accuracy)).map((i) => whole[i]);
}

// The architecture of a point of a frontier, which says how it came about, or which units it has.
function architectureOf(space, landscape, point) {
  const size = space.sizes[point.size], units = [];
  if (point.units) return { size, units: point.units.map((unit) => landscape.every.units[unit]) };
  let { index } = point;
  for (const place of [...point.part.places].reverse()) {
    const [before, unit] = place[index];
    units.unshift(landscape.every.units[unit]);
    index = before;
  }
  return { size, units };
}

// The most accurate point within a budget; undefined where even the fastest is slower.
function bestUnder(points, budget) {
  let low = 0, high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle].latency <= budget) low = middle + 1; else high = middle;
  }
  return points[low - 1];
}
