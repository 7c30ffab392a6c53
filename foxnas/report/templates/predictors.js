"use strict";
// Predictors as the library has them (foxnas/predictor, foxnas/space/terms.py): an intercept plus a sum over units.
// A unit is [[K, E], ...], an architecture {size, units}.

// Squared distance from the middle of the choices, 1 at both ends.
function curvature(choices, value) {
  const half = (choices[choices.length - 1] - choices[0]) / 2 || 1;
  return (fromMiddle(choices, value) / half) ** 2;
}

function fromMiddle(choices, value) {
  return value - (choices[0] + choices[choices.length - 1]) / 2;
}

function layerVariables(space, [k, e]) {
  const k2 = curvature(space.kernels, k), middle = fromMiddle(space.ratios, e);
  return { k, e, k2, e2: curvature(space.ratios, e), ek: middle * fromMiddle(space.kernels, k), ek2: middle * k2 };
}

// Depth, the variables of the first layer, and their means over the others (0 where there are none).
function unitVariables(space, unit) {
  const [first, ...others] = unit.map((layer) => layerVariables(space, layer));
  const later = { k: 0, e: 0, k2: 0, e2: 0, ek: 0, ek2: 0 };
  for (const name of Object.keys(later)) {
    for (const layer of others) later[name] += layer[name];
    later[name] /= Math.max(others.length, 1);
  }
  return { depth: unit.length, others: others.length, first, later };
}

// Every term of every form; see _TERMS of foxnas/space/terms.py.
const TERMS = {
  D: (v) => v.depth,
  E_avg: (v) => v.later.e,
  K_avg: (v) => v.later.k,
  E_first: (v) => v.first.e,
  K_first: (v) => v.first.k,
  E_total: (v) => v.others * v.later.e,
  DxE_total: (v) => v.depth * v.others * v.later.e,
  DxE_avg: (v) => v.depth * v.later.e,
  DxK_avg: (v) => v.depth * v.later.k,
  K2_avg: (v) => v.later.k2,
  K2_first: (v) => v.first.k2,
  E2_avg: (v) => v.later.e2,
  E2_first: (v) => v.first.e2,
  ExK_first: (v) => v.first.ek,
  ExK2_first: (v) => v.first.ek2,
  E_sum: (v) => v.others * v.later.e,
  K_sum: (v) => v.others * v.later.k,
  E2_sum: (v) => v.others * v.later.e2,
  K2_sum: (v) => v.others * v.later.k2,
  ExK_sum: (v) => v.others * v.later.ek,
  ExK2_sum: (v) => v.others * v.later.ek2,
};

// A fit as the page holds it: "D_2" is the term D of the second unit; the covariance is an upper triangle of doubles.
function readFit(fit) {
  const terms = Object.entries(fit.coefficients).map(([name, coefficient]) => {
    const cut = name.lastIndexOf("_");
    return { kind: name.slice(0, cut), unit: Number(name.slice(cut + 1)) - 1, coefficient };
  });
  const bytes = Uint8Array.from(atob(fit.covariance), (character) => character.charCodeAt(0));
  return { ...fit, terms, covariance: new Float64Array(bytes.buffer) };
}

// The inverse of a fit's link and the link itself, its slope at a value, and what a rise of the sum changes of a value.
const inverse = (fit, sum) => (fit.asymptote === null ? sum : fit.asymptote - Math.exp(-sum));
const forward = (fit, value) => {
  if (fit.asymptote === null) return value;
  return value < fit.asymptote ? -Math.log(fit.asymptote - value) : Infinity;
};
const slope = (fit, value) => (fit.asymptote === null ? 1 : fit.asymptote - value);
const changed = (fit, value, rise) => (fit.asymptote === null ? rise : (fit.asymptote - value) * -Math.expm1(-rise));

// The row of the design matrix: 1 for the intercept, then the terms.
function design(space, fit, units) {
  const variables = units.map((unit) => unitVariables(space, unit));
  return [1, ...fit.terms.map((term) => TERMS[term.kind](variables[term.unit]))];
}

function sumOf(fit, row) {
  return fit.terms.reduce((sum, term, i) => sum + term.coefficient * row[i + 1], fit.intercept);
}

// x' C x, of the symmetric C whose upper triangle is kept.
function quadraticForm(triangle, x) {
  let sum = 0, place = 0;
  for (let i = 0; i < x.length; i += 1) {
    let row = triangle[place] * x[i];
    place += 1;
    for (let j = i + 1; j < x.length; j += 1, place += 1) row += 2 * triangle[place] * x[j];
    sum += x[i] * row;
  }
  return sum;
}

// The prediction with its 95% prediction interval, in which one new measurement falls.
function predict(space, fit, units) {
  const row = design(space, fit, units), sum = sumOf(fit, row);
  const leverage = quadraticForm(fit.covariance, row), error = fit.error * Math.sqrt(leverage);
  const half = t95(fit.freedom) * fit.error * Math.sqrt(1 + leverage), value = inverse(fit, sum);
  return {
    row, value, lower: inverse(fit, sum - half), upper: inverse(fit, sum + half), leverage,
    standardError: error * slope(fit, value),
  };
}

// What changing `base` into `other` is predicted to do; see foxnas/predictor/contrast.py. Both are {fit, prediction}.
function contrast(base, other) {
  const one = base.prediction, two = other.prediction;
  let value, error, freedom;
  if (base.fit === other.fit) {
    const { fit } = base;
    const rise = fit.terms.reduce((sum, term, i) => sum + term.coefficient * (two.row[i + 1] - one.row[i + 1]), 0);
    value = changed(fit, one.value, rise);
    const before = slope(fit, one.value), after = slope(fit, two.value);
    const difference = two.row.map((term, i) => after * term - before * one.row[i]);
    error = fit.error * Math.sqrt(Math.max(quadraticForm(fit.covariance, difference), 0));
    freedom = fit.freedom;
  } else {
    value = two.value - one.value;
    const variances = [one.standardError ** 2, two.standardError ** 2];
    const freedoms = [base.fit.freedom, other.fit.freedom];
    const total = variances[0] + variances[1];
    const spread = variances[0] ** 2 / freedoms[0] + variances[1] ** 2 / freedoms[1];
    const shared = base.fit.together && other.fit.together;
    error = shared ? one.standardError + two.standardError : Math.sqrt(total);
    freedom = spread && !shared ? total ** 2 / spread : Math.min(...freedoms);
  }
  const half = t95(freedom) * error;
  const p = error ? twoSidedP(value / error, freedom) : Number(value === 0);
  return { value, lower: value - half, upper: value + half, error, p };
}
