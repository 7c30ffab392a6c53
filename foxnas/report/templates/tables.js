"use strict";
// The numbers behind a chart, as a table that is made when it is opened (foxnas/report/chart_tables.py).

// Numbers as words: whole ones as they are, others with five digits, of the seven that single precision has.
function shownNumbers(values) {
  const whole = values.every((value) => Number.isInteger(value) || Number.isNaN(value));
  const shown = whole ? counted : (value) => significant(value, 5);
  return values.map((value) => (Number.isNaN(value) ? "" : shown(value).replace("-", MINUS)));
}

// A column as {name, cells, look}: words, or numbers in single precision.
function readColumn({ name, words, floats }) {
  if (words) return { name, cells: words, look: "left" };
  const bytes = Uint8Array.from(atob(floats), (character) => character.charCodeAt(0));
  return { name, cells: shownNumbers([...new Float32Array(bytes.buffer)]), look: "" };
}

// The columns of the plane, from what its pointer is told.
function columnsOfPlane({ points, kinds, latency: measure }) {
  const column = (name, of, look = "left") => ({ name, cells: points.map(of), look });
  const numbers = (name, of) => ({ name, cells: shownNumbers(points.map(of)), look: "" });
  return [
    column("what", ([, , kind]) => kinds[kind][0]),
    numbers(`${measure}, ms`, ([, , , latency]) => latency),
    numbers("top-1, %", ([, , , , top1]) => top1),
    column("architecture", ([, , , , , architecture]) => architecture, "left arch"),
    column("note", ([, , , , , , note]) => note),
  ];
}

function tableOf(columns) {
  const [first, ...others] = columns;
  const names = columns.map(({ name, look }) => element("th", { scope: "col", class: look.replace("arch", "") }, name));
  const body = first.cells.map((name, i) => row(
    heading(first.look, name), ...others.map(({ cells, look }) => cell(look, cells[i]))));
  return element("table", { class: "tight" }, element("thead", {}, row(...names)), element("tbody", {}, ...body));
}

document.querySelectorAll("details.numbers").forEach((box) => {
  box.addEventListener("toggle", () => {
    const place = box.querySelector(".scroll");
    if (!box.open || place.firstChild) return;
    const own = box.querySelector("script"), plane = box.previousElementSibling;
    const columns = own ? JSON.parse(own.textContent).map(readColumn)
      : columnsOfPlane(JSON.parse(plane.querySelector("script").textContent));
    place.replaceChildren(tableOf(columns));
  });
});
