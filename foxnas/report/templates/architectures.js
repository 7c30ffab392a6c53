"use strict";
// Architectures as text, their single-knob changes, and the words for these (foxnas/space/arch.py, search/twists.py).

const textOfUnit = (unit) => unit.map(([k, e]) => `k${k}e${e}`).join(".");
const textOf = ({ size, units }) => [`r${size}`, ...units.map(textOfUnit)].join("_");

// The architecture of a text. Throws an Error whose message says what is wrong with it in this space.
function parseArchitecture(space, text) {
  const [head, ...parts] = text.trim().split("_");
  const size = /^r([1-9]\d*)$/.exec(head);
  const units = parts.map((part) => part.split(".").map((layer) => /^k([1-9]\d*)e([1-9]\d*)$/.exec(layer)));
  if (!size || !units.length || units.flat().includes(null)) {
    throw new Error("This is not an architecture: expected r<size>_k<K>e<E>.k<K>e<E>_...");
  }
  const found = { size: Number(size[1]), units: units.map((unit) => unit.map(([, k, e]) => [Number(k), Number(e)])) };
  const fault = outside(space, found);
  if (fault) throw new Error(`This architecture is not in space ${space.name}: ${fault}.`);
  return found;
}

function outside(space, { size, units }) {
  if (!space.sizes.includes(size)) return `its image size ${size} is not one of ${space.sizes.join(", ")}`;
  if (units.length !== space.units.length) return `it has ${units.length} units of ${space.units.length}`;
  for (const [place, unit] of units.entries()) {
    const { depths, kernels, ratios } = space.units[place];
    const of = `of unit ${place + 1}`, layer = unit.find(([k, e]) => !kernels.includes(k) || !ratios.includes(e));
    if (!depths.includes(unit.length)) return `depth ${unit.length} ${of} is not one of ${depths.join(", ")}`;
    if (layer) return `layer ${textOfUnit([layer])} ${of} is outside K ${kernels.join(", ")}, E ${ratios.join(", ")}`;
  }
  return "";
}

function withUnit(architecture, place, unit) {
  return { ...architecture, units: architecture.units.map((old, i) => (i === place ? unit : old)) };
}

// The architecture with one unit at its smallest: what the unit's contribution is counted from.
function withSmallestUnit(space, architecture, place) {
  const { depths, kernels, ratios } = space.units[place];
  return withUnit(architecture, place, Array.from({ length: depths[0] }, () => [kernels[0], ratios[0]]));
}

// Every architecture one knob away, in the library's order (SearchSpace.neighbours): {knob, text, architecture}.
function neighbours(space, architecture) {
  const found = space.sizes.filter((size) => size !== architecture.size).map((size) => ({
    knob: "size", text: `image size ${architecture.size} -> ${size}`, architecture: { ...architecture, size },
  }));
  architecture.units.forEach((unit, place) => {
    const { depths } = space.units[place], last = unit[unit.length - 1];
    for (const [depth, layers] of [[unit.length - 1, unit.slice(0, -1)], [unit.length + 1, [...unit, last]]]) {
      if (depths.includes(depth)) {
        const text = `depth of unit ${place + 1} ${unit.length} -> ${depth}`;
        found.push({ knob: `${place} D`, text, architecture: withUnit(architecture, place, layers) });
      }
    }
    unit.forEach((layer, i) => found.push(...layerChanges(space, architecture, place, i)));
  });
  return found;
}

function layerChanges(space, architecture, place, i) {
  const unit = architecture.units[place], layer = unit[i], which = i ? "a later layer" : "the first layer";
  return [["K", space.units[place].kernels], ["E", space.units[place].ratios]].flatMap(([knob, choices], part) =>
    choices.filter((choice) => choice !== layer[part]).map((choice) => {
      const value = layer.map((old, j) => (j === part ? choice : old));
      return {
        knob: `${place} ${i} ${knob}`,
        text: `${knob} of ${which} of unit ${place + 1} ${layer[part]} -> ${choice}`,
        architecture: withUnit(architecture, place, unit.map((old, j) => (j === i ? value : old))),
      };
    }));
}

// Holm's adjustment of p-values, in their order.
function holm(ps) {
  const order = ps.map((_, i) => i).sort((i, j) => ps[i] - ps[j]), adjusted = [];
  let largest = 0;
  order.forEach((place, rank) => {
    largest = Math.max(largest, Math.min(1, ps[place] * (ps.length - rank)));
    adjusted[place] = largest;
  });
  return adjusted;
}
