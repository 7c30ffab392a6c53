"use strict";
// How an answer looks: numbers, the drawing whose knobs are buttons, and tables.

const MINUS = "\u2212";

// Numbers as the rest of the page has them (foxnas/report/numbers.py).
const significant = (value, digits = 3) => value.toPrecision(digits).replace("-", MINUS);
const plus = (value) => (value < 0 ? "" : "+");
const pValue = (value) => (value < 0.0001 ? "< 0.0001" : value.toFixed(4));
const inPercent = (target) => target.unit === "%";
const unitOf = (target) => (inPercent(target) ? "%" : ` ${target.unit}`);

function shownAs(target, value) {
  return inPercent(target) ? value.toFixed(2).replace("-", MINUS) : significant(value, 4);
}

function shownChange(target, value) {
  return plus(value) + (inPercent(target) ? value.toFixed(2).replace("-", MINUS) : significant(value));
}

// An element with attributes and children.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const row = (...cells) => element("tr", {}, ...cells);
const cell = (look, ...children) => element("td", look ? { class: look } : {}, ...children);
const heading = (look, ...children) => element("th", { scope: "row", class: look }, ...children);
const button = (attributes, words) => element("button", { type: "button", ...attributes }, words);

// A number as it is printed, and in full for programs; `name` says what it is.
function figure(words, value, name = "") {
  return element("data", { value: String(value), ...(name ? { "data-figure": name } : {}) }, words);
}

// A prediction with its interval.
function predicted(target, { value, lower, upper }, name) {
  const ends = [["", value], ["-lower", lower], ["-upper", upper]];
  const [middle, low, high] = ends.map(([end, number]) => figure(shownAs(target, number), number, name + end));
  return [middle, " (", low, " to ", high, ")"];
}

// An effect with its interval.
function effect({ target, value, lower, upper }, name) {
  const ends = [["-value", value], ["-lower", lower], ["-upper", upper]];
  const [middle, low, high] = ends.map(([end, number]) => figure(shownChange(target, number), number, name + end));
  return [middle, " (", low, " to ", high, ")"];
}

// The sentence of an answer. The point has the sums that were searched with, so that an architecture exactly on its
// budget is not a rounding above it.
function sentenceOf({ budget, optimum, points, search }, predictions, point, tookMs) {
  const within = `${significant(budget, 4)} ms${search.caps.length ? " and the caps" : ""}`;
  const parts = [`Within ${within} the best allowed architecture is at ${optimum.size} px: `];
  predictions.forEach(({ target, prediction }, i) => {
    const value = [point.accuracy, point.latency][i] ?? prediction.value;
    const [middle, ...interval] = predicted(target, { ...prediction, value }, `best-${i}`);
    parts.push(i ? "; " : "", `${target.name} `, middle, unitOf(target), ...interval);
  });
  const took = `found in ${tookMs < 1 ? "less than 1" : tookMs.toFixed(0)} ms.`;
  const what = search.plain ? `${points.length} architectures are on the frontier,` : "Under these caps it was";
  return [...parts, `, with 95% intervals. ${what} ${took}`];
}

function againstOptimum(asking) {
  const [effects] = asking.contrasts(asking.optimum, [asking.shown]), parts = ["Against the best within the budget: "];
  effects.forEach((one, i) => {
    const [value, ...interval] = effect(one, `against-${i}`), { name, difference } = one.target;
    parts.push(i ? "; " : "", `${name} `, value, ` ${difference}`, ...interval, `, p ${pValue(one.p)}`);
  });
  return [...parts, "."];
}

const counted = (value) => value.toLocaleString("en", { maximumFractionDigits: 0 });

// What the shown architecture costs, and which caps it breaks.
function costsOf({ costs, shown, search }) {
  const { labels, units } = costs.tables, values = costs.of(shown), parts = ["Costs: "];
  values.forEach((value, cost) => {
    parts.push(cost ? ", " : "", `${labels[cost]} `, figure(counted(value), value, `cost-${cost}`), units[cost]);
  });
  const broken = search.caps.filter(({ cost, limit }) => values[cost] > limit).map(({ cost }) => labels[cost]);
  return [...parts, broken.length ? `. Above the cap on ${broken.join(" and ")}.` : "."];
}

// Why nothing is left under caps, at any budget.
function cappedOut({ costs, search }) {
  const { labels, units } = costs.tables;
  for (const { cost, limit } of search.caps) {
    const least = costs.least(cost, search.sizes, search.known);
    if (least > limit) {
      const [most, has] = [limit, least].map((value) => `${counted(value)}${units[cost]}`);
      return `No allowed architecture keeps the cap on ${labels[cost]} of ${most}: at least ${has} is needed.`;
    }
  }
  return "No allowed architecture keeps all caps together.";
}

function tracedWords({ points, targets: [accuracy] }, above, tookMs) {
  const rise = `${shownAs(accuracy, above)} ${accuracy.difference}`;
  const through = `${points.length} architectures, each the best for its latency`;
  return `The frontier under these caps is drawn through ${through}, found in ${(tookMs / 1000).toFixed(1)} s; `
    + `between two of them it rises by at most ${rise}.`;
}

// Bars of a unit, one per layer, whose K and E are buttons; so are the depths and the image size.
function drawKnobs(asking) {
  const { space, shown } = asking;
  const knob = (place, words, name) => button({
    class: "knob", "data-knob": place, "aria-pressed": String(place === asking.knob), "aria-label": `${words}, ${name}`,
  }, words);
  const units = shown.units.map((unit, place) => {
    const bars = unit.map((layer, i) => drawLayer(space, layer, `unit ${place + 1}, layer ${i + 1}`,
      (letter, ...words) => knob(`${place} ${i} ${letter}`, ...words)));
    return element("li", { class: "unit" },
      knob(`${place} D`, `D ${unit.length}`, `depth of unit ${place + 1}`),
      element("div", { class: "layers" }, ...bars),
      element("span", { class: "note" }, `unit ${place + 1}: ${space.units[place].words}`));
  });
  const size = element("div", {}, knob("size", `${shown.size} px`, "image size"));
  asking.find("drawing").replaceChildren(size, element("ul", { class: "units" }, ...units));
}

// As in the drawings of the deployed models, the height is the expansion ratio and the shade the kernel size.
function drawLayer(space, [k, e], where, knob) {
  const shade = Math.floor((space.kernels.indexOf(k) * 2) / Math.max(space.kernels.length - 1, 1));
  const bar = element("div", { class: `layer k${shade}` },
    knob("K", `K${k}`, `kernel size of ${where}`), knob("E", `E${e}`, `expansion ratio of ${where}`));
  bar.style.height = `${52 + (60 * e) / space.ratios[space.ratios.length - 1]}px`;
  return bar;
}

// What is predicted of the shown architecture, and what every unit contributes: against the unit at its smallest.
function fillUnits(asking) {
  const { space, shown } = asking;
  const whole = asking.predictions(shown).map(({ target, prediction }, i) =>
    cell("start", ...predicted(target, prediction, `shown-${i}`)));
  const units = shown.units.map((unit, place) => {
    const [effects] = asking.contrasts(withSmallestUnit(space, shown, place), [shown]);
    return row(heading("left", String(place + 1)), cell("left arch", textOfUnit(unit)),
      ...effects.map((one, i) => cell("start", ...effect(one, `unit-${place}-${i}`))));
  });
  const first = row(heading("left", "all"), cell("left", `${shown.size} px`), ...whole);
  first.className = "chosen";
  asking.find("units").replaceChildren(first, ...units);
}

// Every single-knob move with what it does to all targets. Those that the predictors cannot tell apart are one in the
// whole list and in Holm's adjustment (foxnas/search/twists.py); a knob shows its own.
function listMoves(asking) {
  const near = neighbours(asking.space, asking.shown), distinct = new Map();
  const effects = asking.contrasts(asking.shown, near.map((move) => move.architecture));
  const moves = near.map((move, i) => ({ ...move, effects: effects[i] }));
  for (const move of moves) {
    const numbers = move.effects.slice(0, 2).flatMap(({ value, error }) => [value, error]);
    const key = [move.architecture.size, ...numbers.map((number) => Math.round(number * 1e12))].join();
    if (!distinct.has(key)) distinct.set(key, move);
    move.first = distinct.get(key);
  }
  const listed = [...distinct.values()];
  asking.targets.forEach((_, i) => {
    holm(listed.map((move) => move.effects[i].p)).forEach((p, j) => { listed[j].effects[i].holm = p; });
  });
  const [gain, cost] = [0, 1].map((target) => (move) => move.effects[target].value);
  return moves.sort((one, two) => gain(two) - gain(one) || cost(one) - cost(two));
}

function fillMoves(asking) {
  const { knob, moves } = asking;
  const shown = moves.filter((move) => (knob ? move.knob === knob : move.first === move));
  asking.find("moves").replaceChildren(...shown.map((move) => row(
    heading("left", move.text),
    cell("left", button({ "data-move": moves.indexOf(move), "aria-label": `Change ${move.text}` }, "Change")),
    ...move.effects.flatMap((one, i) => effectCells(one, move.first.effects[i].holm, `move-${i}`)))));
  const pressed = asking.box.querySelector(".knob[aria-pressed=true]");
  const of = pressed ? ` of ${pressed.getAttribute("aria-label")}` : ", each of one knob";
  asking.find("moved").textContent = `${shown.length} changes${of}.`;
  asking.find("all-knobs").hidden = !pressed;
}

function effectCells(one, adjusted, name) {
  const p = (value, which) => cell("", figure(pValue(value), value, `${name}-${which}`));
  return [cell("start", ...effect(one, name)), p(one.p, "p"), p(adjusted, "holm")];
}

// The frontier at even steps of latency, as a table: what the chart shows, to be read and to be taken.
function fillFrontierTable(asking) {
  const { points, space } = asking, [accuracy, latency] = asking.targets, steps = 24;
  const [low, high] = [points.at(0)?.latency, points.at(-1)?.latency];
  const at = (step) => bestUnder(points, step < steps ? low + ((high - low) * step) / steps : high);
  const shown = new Set(points.length ? Array.from({ length: steps + 1 }, (_, step) => at(step)) : []);
  asking.find("points").replaceChildren(...Array.from(shown, (point) => row(
    heading("", figure(shownAs(latency, point.latency), point.latency)),
    cell("", figure(shownAs(accuracy, point.accuracy), point.accuracy)),
    cell("left arch", textOf(architectureOf(space, asking.landscape, point))),
    cell("left", button({
      "data-budget": point.latency, "aria-label": `Take as budget: ${significant(point.latency, 4)} ms`,
    }, "Take as budget")))));
}
