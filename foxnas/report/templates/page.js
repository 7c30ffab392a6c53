"use strict";
// The page is complete without this: here a pointer is answered and groups of points are switched off.
document.documentElement.classList.add("scripted");

document.querySelectorAll(".plane-box").forEach((box) => {
  const svg = box.querySelector("svg"), tip = box.querySelector(".tip"), pointer = svg.querySelector(".pointer");
  const { points, kinds } = JSON.parse(box.querySelector("script").textContent);
  const hidden = new Set();
  box.querySelectorAll("input").forEach((input) => {
    input.checked = true;
    input.addEventListener("change", () => {
      const kind = Number(input.value);
      hidden[input.checked ? "delete" : "add"](kind);
      svg.querySelectorAll(`[data-kind="${kind}"]`).forEach((g) => g.classList.toggle("hidden", !input.checked));
    });
  });
  const leave = () => { tip.hidden = true; pointer.setAttribute("visibility", "hidden"); };
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("pointermove", (event) => {
    const area = svg.getBoundingClientRect(), view = svg.viewBox.baseVal, scale = view.width / area.width;
    const x = (event.clientX - area.left) * scale, y = (event.clientY - area.top) * scale;
    let best = null, nearest = 14 * 14;
    for (const point of points) {
      if (hidden.has(point[2])) continue;
      // What was chosen lies on top, and the frontier's line may not hide a measured subnet.
      const weight = kinds[point[2]][2];
      const distance = ((point[0] - x) ** 2 + (point[1] - y) ** 2) * weight;
      if (distance < nearest) { nearest = distance; best = point; }
    }
    if (!best) { leave(); return; }
    const [px, py, kind, latency, top1, arch, note] = best;
    pointer.setAttribute("cx", px); pointer.setAttribute("cy", py); pointer.setAttribute("visibility", "visible");
    tip.replaceChildren();
    const add = (tag, words, look) => {
      const element = document.createElement(tag);
      element.textContent = words; element.className = look || ""; tip.append(element);
    };
    add("b", `${kinds[kind][0]}: ${top1}% in ${latency} ms`);
    add("div", kinds[kind][1]);
    if (note) add("div", note);
    add("span", arch, "arch");
    tip.hidden = false;
    const left = px / scale + 16, room = area.width - tip.offsetWidth - 4;
    tip.style.left = `${Math.max(0, left > room ? px / scale - tip.offsetWidth - 16 : left)}px`;
    tip.style.top = `${area.top - box.getBoundingClientRect().top + py / scale + 14}px`;
  });
});

// Paper shows what is folded away, but for the numbers of charts: hundreds of rows each.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not(.numbers)")) folded.open = true;
});
