"use strict";
// The best architectures under caps on costs, which need not lie on the frontier of accuracy and latency: for each
// image size a knapsack, as foxnas/search/capped does it.

// The first guess of how far below its bound the optimum is, as a share of the range of values.
const FIRST_ROOM = 1e-4;

// The frontier is searched for points until it rises by no more than this part of the whole between two of them.
const STEPS = 50;

// An image size's options: what each unit that a place may have adds to accuracy and latency, and to the caps on sums.
// Null where nothing is left. A cap on a maximum takes options away.
function optionsOf(landscape, costs, size, known, caps) {
  const [largest, sums] = [true, false].map((is) => caps.filter(({ cost }) => costs.isLargest(cost) === is));
  if (largest.some(({ cost, limit }) => costs.fixed(size, cost) > limit)) return null;
  const kept = largest.reduce((units, { cost, limit }) => units.map((some, place) => {
    const column = costs.ofUnits(size, place, cost);
    return some.filter((unit) => column[unit] <= limit);
  }), known);
  const pick = (tables) => kept.map((units, place) => {
    const table = tables[place], found = new Float64Array(units.length);
    for (let i = 0; i < units.length; i += 1) found[i] = table[units[i]];
    return found;
  });
  const { accuracy, latency } = landscape.sizes[size], fits = landscape.fits[size];
  const rows = sums.map(({ cost, limit }) => {
    const columns = pick(known.map((_, place) => costs.ofUnits(size, place, cost)));
    return { columns, ends: columns.map(ends), limit: limit - costs.fixed(size, cost) };
  // A cap that nothing breaks is none.
  }).filter((row) => total(row.ends.map(([, high]) => high)) > row.limit);
  const nothing = kept.some((units) => !units.length);
  if (nothing || rows.some((row) => total(row.ends.map(([low]) => low)) > row.limit)) return null;
  const times = pick(latency), slowest = total(times.map((column) => ends(column)[1]));
  return { size, units: kept, accuracy: pick(accuracy), latency: times, slowest, rows, fits };
}

// The search under caps among units that each place may have: for the best within a budget, the fastest, the frontier.
class CappedSearch {
  constructor(space, landscape, costs, sizes, known, caps) {
    Object.assign(this, { space, landscape, costs, sizes, known, caps, last: new Map() });
    this.options = sizes.map((size) => optionsOf(landscape, costs, size, known, caps)).filter(Boolean);
  }

  // Whether no cap on a sum is left, so that the best lies on the frontier of accuracy and latency.
  get plain() { return this.options.every(({ rows }) => !rows.length); }

  // The most accurate within a budget, as a point of a frontier; undefined where there is none. `least` is an accuracy
  // that is known to be reached.
  best(budget, least = -Infinity) { return this.solve(this.partsWithin(budget, least)); }

  // The fastest that keeps the caps.
  fastest() {
    const parts = this.options.map(({ size, units, latency, rows, fits }) => this.part({
      size, units, budget: Infinity, rows, values: latency.map((column) => column.map((ms) => -ms)),
      offset: -fits.latency.intercept, fit: { asymptote: null },
    }));
    return this.solve(parts);
  }

  // The image sizes as knapsacks, without those that cannot reach an accuracy: under another budget, too, the prices of
  // the last one bound.
  partsWithin(budget, least) {
    const parts = [];
    for (const { size, units, accuracy, latency, slowest, rows, fits } of this.options) {
      // Beyond the slowest, a budget is as good as none.
      const limit = Math.min(budget - fits.latency.intercept, slowest), last = this.last.get(size);
      const bound = last ? last.priced.bound + last.priced.prices[0] * (limit - last.limit) : Infinity;
      if (inverse(fits.accuracy, bound + fits.accuracy.intercept) < least - ROUNDING * (1 + Math.abs(least))) continue;
      const part = this.part({
        size, units, budget, values: accuracy, offset: fits.accuracy.intercept, fit: fits.accuracy,
        rows: [{ columns: latency, limit }, ...rows],
      });
      this.last.set(size, { priced: part.priced, limit });
      parts.push(part);
    }
    return parts;
  }

  part({ values, rows, ...about }) {
    const weights = values.map((_, place) => rows.map(({ columns }) => columns[place]));
    const knapsack = { values, weights, capacity: rows.map(({ limit }) => limit) };
    return { ...about, knapsack, priced: bestPrices(knapsack) };
  }

  // The best of some parts: what gives away little of the bounds is listed, and more of it until something is found.
  solve(parts) {
    const bounds = parts.map(({ fit, priced, offset }) => inverse(fit, priced.bound + offset));
    const top = Math.max(...bounds), bottom = Math.min(...parts.map(({ fit, knapsack, offset }) =>
      inverse(fit, offset + total(knapsack.values.map((column) => ends(column)[0])))));
    let room = FIRST_ROOM * Math.max(top - bottom, 1e-12), found;
    while (top >= bottom && !found) {
      let least = Math.max(top - room, bottom);
      if (least === bottom) room = Infinity;
      for (const [i, part] of parts.entries()) {
        const sum = forward(part.fit, least) - part.offset;
        if (bounds[i] < least || sum === Infinity) continue;
        const best = bestAbove(part.knapsack, part.priced, sum, (places) => this.keeps(part, places));
        if (!best) continue;
        found = { size: part.size, units: unitsAt(part, best.places) };
        least = inverse(part.fit, best.value + part.offset);
      }
      if (room === Infinity) break;
      room *= 3;
    }
    return found && { ...found, ...this.predicted(found) };
  }

  // Whether a solution keeps the budget and every cap to the last bit, added up as everywhere else.
  keeps(part, places) {
    const point = { size: part.size, units: unitsAt(part, places) };
    const all = this.costs.of(architectureOf(this.space, this.landscape, point));
    return this.predicted(point).latency <= part.budget && this.caps.every(({ cost, limit }) => all[cost] <= limit);
  }

  predicted({ size, units }) {
    const tables = this.landscape.sizes[size], { accuracy, latency } = this.landscape.fits[size];
    const sum = (intercept, table) => units.reduce((before, unit, place) => before + table[place][unit], intercept);
    return {
      latency: sum(latency.intercept, tables.latency),
      accuracy: inverse(accuracy, sum(accuracy.intercept, tables.accuracy)),
    };
  }

  // The frontier as foxnas/search/capped/frontier.py has it: every point is optimal for its latency, and between two of
  // them it rises by no more than `above` of the result, or within a tiny share of the latencies. Yields between two
  // searches, for the page to do something else.
  * frontier() {
    const fastest = this.fastest(), highest = this.best(Infinity), found = new Map();
    const note = (point) => { found.set(point.latency, point); return point; };
    const lowest = note(this.best(fastest.latency));
    const finest = (highest.latency - lowest.latency) / (100 * STEPS);
    const rise = (highest.accuracy - lowest.accuracy) / STEPS;
    const waiting = [[lowest.latency, lowest.accuracy, note(highest)]];
    let above = 0;
    while (waiting.length) {
      const [from, accuracy, upper] = waiting.pop();
      if (upper.latency - from <= finest) continue;
      if (upper.accuracy - accuracy <= rise) {
        above = Math.max(above, upper.accuracy - accuracy);
        continue;
      }
      yield;
      const middle = (from + upper.latency) / 2, best = note(this.best(middle, accuracy));
      if (best.latency > from) waiting.push([from, accuracy, best]);
      waiting.push([middle, best.accuracy, upper]);
    }
    const points = [...found.values()];
    const kept = pareto(points.map(({ latency }) => latency), points.map(({ accuracy }) => accuracy));
    return { points: kept.map((i) => points[i]), above };
  }
}

const unitsAt = ({ units }, places) => units.map((some, place) => some[places[place]]);
