"use strict";
// Student's t, for intervals and p-values. Degrees of freedom need not be whole (Welch and Satterthwaite's are not).

// Lanczos' approximation with g = 7 and nine coefficients: relative error near 1e-15.
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

function logGamma(x) {
  const base = x + 6.5;
  const series = LANCZOS.slice(1).reduce((sum, coefficient, i) => sum + coefficient / (x + i), LANCZOS[0]);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(base) - base + Math.log(series);
}

// Regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz' method). `rest` is 1 - x, which
// has lost its digits where x is near 1.
function incompleteBeta(x, rest, a, b) {
  if (!x || !rest) return x ? 1 : 0;
  // The fraction converges fast on this side only; the other is its mirror image.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(rest, x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(rest)) / a;
  const kept = (value) => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let c = 1, d = 1 / kept(1 - ((a + b) * x) / (a + 1)), fraction = d;
  for (let m = 1; m < 1000; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let change = 1;
    for (const term of [even, odd]) {
      d = 1 / kept(1 + term * d);
      c = kept(1 + term / c);
      change = d * c;
      fraction *= change;
    }
    if (Math.abs(change - 1) < 1e-16) break;
  }
  return front * fraction;
}

// The probability that |T| is at least t.
function twoSidedP(t, freedom) {
  const whole = freedom + t * t;
  return incompleteBeta(freedom / whole, (t * t) / whole, freedom / 2, 0.5);
}

const quantiles = new Map();

// The 97.5% quantile, by bisection; moves within one image size share their degrees of freedom, so it is kept.
function t95(freedom) {
  if (!quantiles.has(freedom)) {
    let low = 0, high = 1e6;
    while (high - low > 4e-16 * high) {
      const middle = (low + high) / 2;
      if (middle === low || middle === high) break;
      if (twoSidedP(middle, freedom) > 0.05) low = middle; else high = middle;
    }
    quantiles.set(freedom, (low + high) / 2);
  }
  return quantiles.get(freedom);
}
