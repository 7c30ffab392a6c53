"use strict";
// The part of the page that answers: what is chosen in its form is asked of the predictors, and shown.

// One box per device: its predictors, its form, and what is shown of the answer.
class Asking {
  constructor(box) {
    this.box = box;
    this.form = box.querySelector("form");
    const { space, targets, budgets, command, costs } = JSON.parse(box.querySelector("script").textContent);
    // The first target is what the search maximised, the second the latency; a third is top-1 where that is another.
    const read = targets.map((target) => ({ ...target, fits: target.fits.map(readFit) }));
    Object.assign(this, { space, budgets, command, targets: read, knob: null });
    const [accuracy, latency] = this.targets;
    const fits = space.sizes.map((_, i) => ({ accuracy: accuracy.fits[i], latency: latency.fits[i] }));
    this.landscape = landscape(space, fits);
    this.costs = new Costs(space, this.landscape.every, costs);
    this.whole = frontier(this.landscape, this.searchOf(space.sizes.map((_, i) => i), space.units, []).options);
    this.setRange();
    this.listen();
    this.ask();
  }

  find(name) { return this.box.querySelector(`[data-part="${name}"]`); }

  // The slider reaches over the whole frontier, in steps of about a thousandth of it.
  setRange() {
    const low = this.whole[0].latency, high = this.whole[this.whole.length - 1].latency;
    const step = 10 ** Math.floor(Math.log10((high - low || high) / 500)), digits = Math.max(0, -Math.log10(step));
    const slider = this.form.elements.slider, field = this.form.elements.budget;
    slider.step = field.step = step.toFixed(digits);
    slider.min = field.min = (Math.ceil(low / step) * step).toFixed(digits);
    slider.max = field.max = (Math.ceil(high / step) * step).toFixed(digits);
    this.setBudget(this.budgets[0].ms);
  }

  setBudget(ms) {
    this.form.elements.budget.value = ms;
    this.form.elements.slider.value = ms;
  }

  listen() {
    const { slider, budget } = this.form.elements;
    slider.addEventListener("input", () => { budget.value = slider.value; });
    budget.addEventListener("input", () => { slider.value = budget.value; });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => { this.spread(event.target); this.ask(); });
    this.form.addEventListener("click", (event) => {
      if (event.target.dataset.budget) this.setBudget(event.target.dataset.budget);
      else if (event.target.dataset.part === "allow-all") this.tickAll();
      else if (event.target.dataset.part === "no-caps") for (const field of this.capFields()) field.value = "";
      else return;
      this.ask();
    });
    this.find("answer").addEventListener("click", (event) => this.press(event.target.closest("button")));
    this.find("typed").addEventListener("submit", (event) => { event.preventDefault(); this.showTyped(); });
  }

  tickAll() {
    for (const box of this.form.querySelectorAll("input[type=checkbox]")) box.checked = true;
  }

  // A box of the row "every unit" stands for those below it.
  spread(input) {
    if (input.name !== "every") return;
    for (const box of this.unitBoxes(input.dataset.choice)) box.checked = input.checked;
  }

  unitBoxes(choice) {
    return [...this.form.querySelectorAll(`input[name="unit"][data-choice="${choice}"]`)];
  }

  // What the form allows: places of image sizes, and the choices of each unit.
  allowed() {
    const ticked = (selector) => [...this.form.querySelectorAll(`${selector}:checked`)];
    for (const every of this.form.querySelectorAll("input[name=every]")) {
      const boxes = this.unitBoxes(every.dataset.choice);
      every.checked = boxes.every((box) => box.checked);
      every.indeterminate = !every.checked && boxes.some((box) => box.checked);
    }
    const units = this.space.units.map(() => ({ depths: [], kernels: [], ratios: [] }));
    const lists = { D: "depths", K: "kernels", E: "ratios" };
    for (const { dataset } of ticked("input[name=unit]")) {
      units[dataset.unit][lists[dataset.choice[0]]].push(Number(dataset.choice.slice(1)));
    }
    return { sizes: ticked("input[name=size]").map((box) => Number(box.value)), units };
  }

  capFields() { return [...this.form.querySelectorAll("input[name=cap]")]; }

  // The caps that are set, as {cost, limit}.
  caps() {
    const limits = this.capFields().map((field, cost) => ({ cost, limit: field.valueAsNumber }));
    return limits.filter(({ limit }) => !Number.isNaN(limit));
  }

  searchOf(sizes, units, caps) {
    const known = units.map((choices) => allowedUnits(this.space, this.landscape.every, choices));
    return new CappedSearch(this.space, this.landscape, this.costs, sizes, known, caps);
  }

  // Find what is best within the budget among what is allowed, and show it.
  ask() {
    const { slider, budget: field } = this.form.elements, start = performance.now();
    this.budget = field.valueAsNumber;
    this.prepare();
    const point = this.fault ? undefined : this.bestWithin(this.budget), took = performance.now() - start;
    const fault = this.fault || this.faultOf(point);
    this.find("answer").hidden = Boolean(fault);
    // Any number is one, also between the steps of the slider.
    field.setAttribute("aria-invalid", String(Number.isNaN(this.budget)));
    if (fault) { this.find("said").textContent = fault; return; }
    slider.setAttribute("aria-valuetext", `${significant(this.budget, 4)} ms`);
    this.optimum = architectureOf(this.space, this.landscape, point);
    this.optimal = this.predictions(this.optimum);
    this.find("said").replaceChildren(...sentenceOf(this, this.optimal, point, took));
    this.drawPoints();
    this.show(this.optimum);
  }

  // What is computed once while only the budget moves: without caps on sums, the whole frontier.
  prepare() {
    const { sizes, units } = this.allowed(), caps = this.caps(), key = JSON.stringify([sizes, units, caps]);
    const unread = this.capFields().find((one) => one.validity.badInput);
    for (const one of this.capFields()) one.setAttribute("aria-invalid", String(one === unread));
    this.fault = missing(sizes, units);
    if (unread) this.fault = `Write a number as the cap on ${unread.dataset.name}, or nothing for none.`;
    if (this.fault || this.key === key) return;
    this.key = key;
    this.search = this.searchOf(sizes, units, caps);
    this.points = this.search.plain ? frontier(this.landscape, this.search.options) : [];
    this.fastest = this.search.plain ? this.points[0] : this.search.fastest();
    this.find("traced").textContent = "";
    if (this.fastest && !this.search.plain) this.trace(this.search, performance.now());
  }

  bestWithin(budget) { return this.search.plain ? bestUnder(this.points, budget) : this.search.best(budget); }

  // Search for points of a frontier under caps on sums, one at a time, until something else is asked.
  trace(search, start) {
    const searching = search.frontier();
    const next = () => {
      if (this.search !== search) return;
      const { done, value } = searching.next();
      if (!done) { setTimeout(next); return; }
      this.points = value.points;
      this.find("traced").textContent = tracedWords(this, value.above, performance.now() - start);
      this.drawPoints();
    };
    this.find("traced").textContent = "The frontier under these caps is being computed.";
    setTimeout(next);
  }

  drawPoints() {
    drawFrontier(this.find("frontier"), this.whole, this.points, this.budget, this.optimal);
    fillFrontierTable(this);
  }

  faultOf(point) {
    if (Number.isNaN(this.budget)) return "Write a number of milliseconds as the budget.";
    if (point) return "";
    if (!this.fastest) return cappedOut(this);
    const [budget, fastest] = [this.budget, this.fastest.latency].map((ms) => significant(ms, 4));
    const which = this.search.caps.length ? "architecture that keeps the caps" : "architecture";
    return `No allowed ${which} is predicted to take at most ${budget} ms: the fastest takes ${fastest} ms.`;
  }

  predictions(architecture) {
    const place = this.space.sizes.indexOf(architecture.size);
    return this.targets.map((target) => {
      const fit = target.fits[place];
      return { target, fit, prediction: predict(this.space, fit, architecture.units) };
    });
  }

  // What each change of an architecture does to every target.
  contrasts(base, others) {
    const before = this.predictions(base);
    return others.map((other) =>
      this.predictions(other).map((after, i) => ({ target: after.target, ...contrast(before[i], after) })));
  }

  // Show an architecture: the optimum, one step away from what was shown, or one that was typed.
  show(architecture) {
    this.shown = architecture;
    const text = textOf(architecture), own = text === textOf(this.optimum);
    this.find("which").textContent = own ? `The best within ${significant(this.budget, 4)} ms` : "Changed by hand";
    this.find("back").hidden = own;
    this.find("text").value = text;
    this.find("fault").textContent = "";
    if (this.command) this.find("command").value = this.command.join(text);
    this.find("costs").replaceChildren(...costsOf(this));
    this.find("against").replaceChildren(...(own ? [] : againstOptimum(this)));
    drawKnobs(this);
    fillUnits(this);
    this.moves = listMoves(this);
    fillMoves(this);
  }

  showTyped() {
    try {
      const typed = parseArchitecture(this.space, this.find("text").value);
      this.knob = null;
      this.show(typed);
    } catch (error) {
      this.find("fault").textContent = error.message;
    }
  }

  press(button) {
    if (!button) return;
    const { part, knob, move, budget, copy } = button.dataset;
    if (part === "back") this.show(this.optimum);
    else if (knob) this.choose(knob === this.knob ? null : knob);
    else if (part === "all-knobs") this.choose(null);
    else if (move) this.take(this.moves[move].architecture);
    else if (budget) { this.setBudget(budget); this.ask(); this.form.elements.budget.focus(); }
    else if (copy) copyText(this.find(copy), this.find("copied"));
  }

  choose(knob) {
    this.knob = knob;
    drawKnobs(this);
    fillMoves(this);
    if (knob) this.box.querySelector(`[data-knob="${knob}"]`).focus();
  }

  // The button that was pressed is gone afterwards: the focus goes to the words that say what is shown now.
  take(architecture) {
    this.knob = null;
    this.show(architecture);
    this.find("which").focus();
  }
}

function missing(sizes, units) {
  if (!sizes.length) return "No image size is allowed: tick at least one.";
  for (const [place, unit] of units.entries()) {
    const name = { depths: "depth", kernels: "kernel size", ratios: "expansion ratio" };
    const none = Object.keys(unit).find((list) => !unit[list].length);
    if (none) return `Unit ${place + 1} has no ${name[none]} left: tick at least one.`;
  }
  return "";
}

// A page from a file may have no clipboard: then the words are selected, for the keyboard to copy.
async function copyText(field, said) {
  try {
    await navigator.clipboard.writeText(field.value);
    said.textContent = "Copied.";
  } catch {
    field.focus();
    field.select();
    said.textContent = "Selected: copy it with Ctrl+C.";
  }
}

document.querySelectorAll(".asking").forEach((box) => {
  box.hidden = false;
  new Asking(box);
});
