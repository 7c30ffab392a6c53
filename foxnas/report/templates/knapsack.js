"use strict";
// Multiple-choice knapsacks with several capacities, exactly: foxnas/search/capped/knapsack.py says how. Prices on the
// capacities bound every solution from above; few options of each group give away less of the bound than the best does.
// A knapsack is {values: [column of each group], weights: [[column of each capacity] of each group], capacity}.

// What rounding may add to a sum of a few terms, relative to their size.
const ROUNDING = 1e-9;

// What exceeds a capacity may be bought at this price, in ranges of the values for a range of the weights.
const DEAREST = 1e6;

// Prices are bettered at most so often, and until another solution would gain less, in ranges of the values; any prices
// bound, so that nothing hangs on either but time.
const PRICINGS = 200;
const CLOSE = 1e-6;

function ends(column) {
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < column.length; i += 1) {
    if (column[i] < low) low = column[i];
    if (column[i] > high) high = column[i];
  }
  return [low, high];
}

// The widest range among columns, 1 where all are flat.
function widest(columns) {
  return Math.max(...columns.map((column) => { const [low, high] = ends(column); return high - low; })) || 1;
}

const total = (values) => values.reduce((sum, value) => sum + value, 0);

// Values of a group's options less the prices of what they use.
function netsOf(values, weights, prices) {
  const nets = values.slice();
  weights.forEach((column, k) => {
    const price = prices[k];
    if (price) for (let i = 0; i < nets.length; i += 1) nets[i] -= price * column[i];
  });
  return nets;
}

function placeOfLargest(column) {
  let place = 0;
  for (let i = 1; i < column.length; i += 1) if (column[i] > column[place]) place = i;
  return place;
}

// The solution that is worth most at some prices, capacities aside: its value, weights and the bound that it proves.
function pricedOut({ values, weights, capacity }, prices) {
  const found = { value: 0, weights: capacity.map(() => 0), bound: total(capacity.map((most, k) => most * prices[k])) };
  values.forEach((column, group) => {
    const nets = netsOf(column, weights[group], prices), best = placeOfLargest(nets);
    found.value += column[best];
    found.bound += nets[best];
    weights[group].forEach((used, k) => { found.weights[k] += used[best]; });
  });
  return found;
}

// Prices at which the bound is about lowest: the duals of the mixture of solutions that is worth most and exceeds no
// capacity (the linear relaxation), by the simplex method with a column for each solution that prices bring up.
function bestPrices(knapsack) {
  const { values, weights, capacity } = knapsack, count = capacity.length;
  // In ranges of the values and weights, and weights beyond the least.
  const worth = widest(values), unit = capacity.map((_, k) => widest(weights.map((columns) => columns[k])));
  const inUnits = (prices) => prices.map((price, k) => price * worth / unit[k]);
  const least = capacity.map((_, k) => total(weights.map((columns) => ends(columns[k])[0])));
  const column = ({ value, weights: used }) => (
    { gain: value / worth, use: [...used.map((weight, k) => (weight - least[k]) / unit[k]), 1] });
  // Room that is left over, or bought.
  const axis = (k, sign) => (
    { gain: sign < 0 ? -DEAREST : 0, use: Array.from({ length: count + 1 }, (_, i) => (i === k ? sign : 0)) });
  const room = capacity.map((most, k) => (most - least[k]) / unit[k]);
  const start = column(pricedOut(knapsack, capacity.map(() => 0)));
  // The basis: its columns, how much is taken of each, and the inverse of its matrix.
  const basis = room.map((most, k) => axis(k, start.use[k] <= most ? 1 : -1));
  basis.push(start);
  const signs = basis.map((one, k) => (k < count ? one.use[k] : 1));
  const taken = signs.map((sign, k) => (k < count ? sign * (room[k] - start.use[k]) : 1));
  const inverted = signs.map((sign, i) => signs.map((_, j) => {
    if (j === i) return sign;
    return i < count && j === count ? -sign * start.use[i] : 0;
  }));
  let best = { bound: Infinity, prices: capacity.map(() => 0) };
  for (let turn = 0; turn < PRICINGS; turn += 1) {
    const duals = signs.map((_, j) => total(basis.map((one, i) => one.gain * inverted[i][j])));
    let entering = null;
    for (let k = 0; k < count && !entering; k += 1) {
      if (duals[k] < -ROUNDING) entering = axis(k, 1);
      else if (duals[k] > DEAREST * (1 + ROUNDING)) entering = axis(k, -1);
    }
    if (!entering) {
      const prices = inUnits(duals.slice(0, count).map((price) => Math.max(price, 0)));
      const offered = pricedOut(knapsack, prices);
      if (offered.bound < best.bound) best = { bound: offered.bound, prices };
      entering = column(offered);
      const gain = entering.gain - total(entering.use.map((use, j) => use * duals[j]));
      if (gain < CLOSE) break;
    }
    const moved = inverted.map((row) => total(row.map((one, j) => one * entering.use[j])));
    let leaving = -1;
    moved.forEach((step, i) => {
      if (step > ROUNDING && (leaving < 0 || taken[i] / step < taken[leaving] / moved[leaving])) leaving = i;
    });
    if (leaving < 0) break;
    const step = taken[leaving] / moved[leaving];
    inverted[leaving] = inverted[leaving].map((one) => one / moved[leaving]);
    inverted.forEach((row, i) => {
      if (i !== leaving) inverted[i] = row.map((one, j) => one - moved[i] * inverted[leaving][j]);
    });
    taken.forEach((amount, i) => { taken[i] = i === leaving ? step : Math.max(amount - moved[i] * step, 0); });
    basis[leaving] = entering;
  }
  return best;
}

// A group's options that a solution may have which gives away at most `room` of the bound: those that lose least
// first, without what another one beats in value and every weight.
function optionsWithin(values, weights, prices, room) {
  const nets = netsOf(values, weights, prices), most = nets[placeOfLargest(nets)], found = [];
  for (let i = 0; i < nets.length; i += 1) if (most - nets[i] <= room) found.push(i);
  found.sort((i, j) => nets[j] - nets[i] || i - j);
  const beats = (i, j) => values[i] >= values[j] && weights.every((column) => column[i] <= column[j]);
  const kept = [];
  for (const i of found) if (!kept.some((other) => beats(other, i))) kept.push(i);
  return {
    count: kept.length, places: kept, losses: kept.map((i) => most - nets[i]), values: kept.map((i) => values[i]),
    weights: weights.map((column) => kept.map((i) => column[i])),
  };
}

// The best solution of a value of at least `least`, as {value, places}, or null. What rounding leaves open, `keeps`
// decides of the places of a solution.
function bestAbove({ values, weights, capacity }, { bound, prices }, least, keeps) {
  const slack = ROUNDING * (1 + Math.abs(least)), room = bound - least + slack;
  const groups = values.map((column, group) => ({ group, ...optionsWithin(column, weights[group], prices, room) }));
  if (groups.some(({ count }) => !count)) return null;
  // Small groups first: what is given away early prunes what is combined later.
  groups.sort((one, two) => one.count - two.count);
  const last = groups.length - 1, chosen = new Int32Array(groups.length);
  // What may be used once a group is chosen: the groups after it need at least the rest.
  const allowed = capacity.map((limit, k) => {
    let left = limit + slack + ROUNDING * Math.abs(limit);
    return groups.map((_, depth) => depth).reverse().map((depth) => {
      const here = left;
      left -= Math.min(...groups[depth].weights[k]);
      return here;
    }).reverse();
  });
  // What is used by the groups up to each.
  const used = groups.map(() => new Float64Array(capacity.length)), nothing = new Float64Array(capacity.length);
  let best = { value: least - slack, places: null };
  const extend = (depth, value, lost) => {
    const { count, losses, values: gains, weights: columns } = groups[depth], here = used[depth];
    const before = depth ? used[depth - 1] : nothing;
    for (let i = 0; i < count && lost + losses[i] <= bound - best.value + slack; i += 1) {
      let fits = true;
      for (let k = 0; k < before.length && fits; k += 1) {
        here[k] = before[k] + columns[k][i];
        fits = here[k] <= allowed[k][depth];
      }
      if (!fits) continue;
      chosen[depth] = i;
      if (depth < last) extend(depth + 1, value + gains[i], lost + losses[i]);
      else if (value + gains[i] > best.value) {
        const places = new Int32Array(groups.length);
        groups.forEach((one, at) => { places[one.group] = one.places[chosen[at]]; });
        if (keeps(places)) best = { value: value + gains[i], places };
      }
    }
  };
  extend(0, 0, 0);
  return best.places && best;
}
