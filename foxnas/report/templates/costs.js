"use strict";
// What architectures cost besides time (foxnas/space/costs.py): sums over units, and for activations the largest.

// The costs of every unit at every place of an image size, cost by cost; computed when first asked for.
class Costs {
  constructor(space, every, tables) {
    Object.assign(this, { space, tables, known: new Map(), layers: every.units.map((unit) => layersOf(space, unit)) });
  }

  isLargest(cost) { return this.tables.names[cost] === this.tables.largest; }

  // What belongs to no unit; `size` is a place in the space, `cost` one of the names.
  fixed(size, cost) { return this.tables.fixed[size][cost]; }

  // The costs of every unit at a place; computed when first asked for.
  ofUnits(size, place, cost) {
    const key = [size, place, cost].join();
    if (!this.known.has(key)) {
      const added = this.adder(size, place, cost);
      this.known.set(key, doubles(this.layers.length, (unit) => added(this.layers[unit])));
    }
    return this.known.get(key);
  }

  // A function from the layers of a unit to what it costs.
  adder(size, place, cost) {
    const [first, later] = ["first", "later"].map((part) => this.tables[part][size][place].map((all) => all[cost]));
    const combine = this.isLargest(cost) ? Math.max : (one, two) => one + two;
    return (layers) => {
      let found = first[layers[0]];
      for (let i = 1; i < layers.length; i += 1) found = combine(found, later[layers[i]]);
      return found;
    };
  }

  // The least that any architecture costs of some image sizes and of units that each place may have, as indices.
  least(cost, sizes, known) {
    return Math.min(...sizes.map((size) => {
      const parts = known.map((units, place) => {
        const column = this.ofUnits(size, place, cost);
        return units.reduce((low, unit) => Math.min(low, column[unit]), Infinity);
      });
      return this.combined(cost, [this.fixed(size, cost), ...parts]);
    }));
  }

  combined(cost, parts) { return this.isLargest(cost) ? Math.max(...parts) : total(parts); }

  // All costs of an architecture.
  of({ size, units }) {
    const at = this.space.sizes.indexOf(size);
    return this.tables.names.map((_, cost) => {
      const parts = units.map((unit, place) => this.adder(at, place, cost)(layersOf(this.space, unit)));
      return this.combined(cost, [this.fixed(at, cost), ...parts]);
    });
  }
}

// The layers of a unit as indices into those that a unit may have.
function layersOf(space, unit) {
  return unit.map(([k, e]) => space.kernels.indexOf(k) * space.ratios.length + space.ratios.indexOf(e));
}
