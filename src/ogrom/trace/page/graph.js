"use strict";
// One resource's own graph for one method, as rows from top to bottom: every edge leads down, the ends
// of refusals stand beside what refuses. What was taken is thick and ticked, what was not is dashed.

const ROW = 34, BOX = 23, WIDE = 292, LANE = 9, PILL = 208;

// graph: the resource's anatomy with counts; path: names in the order in which they were come by.
function draw(graph, path, onChoose) {
  const into = new Map();
  for (const edge of graph.edges) into.set(edge.end, (into.get(edge.end) ?? 0) + 1);
  const rows = graph.nodes.filter((node) => node.kind !== "end" || node.name === graph.start || (node.status < 300 && node.status && into.get(node.name) > 1));
  const place = new Map(rows.map((node, at) => [node.name, at]));
  const taken = new Set(path.slice(1).map((name, at) => `${path[at]} ${name}`));
  const known = new Set(graph.edges.map((edge) => `${edge.start} ${edge.end}`));
  const skips = graph.edges.filter((edge) => place.has(edge.end) && place.get(edge.end) > place.get(edge.start) + 1);
  const lanes = laid(skips, place);
  const left = (Math.max(0, ...lanes.values()) + 2) * LANE;
  const right = left + WIDE + 86;
  const y = (name) => 6 + place.get(name) * ROW;
  const svg = drawn("svg", { width: right + PILL + 4, height: rows.length * ROW + 10, role: "group", "aria-label": `The graph of ${graph.method} ${graph.resource}` });
  const edges = [], nodes = [];

  const line = (edge, d, tip, label, at) => {
    const key = `${edge.start} ${edge.end}`, on = taken.has(key), count = graph.counts[key] ?? 0;
    edges.push(drawn("path", { class: `edge${on ? " taken" : ""}${count ? "" : " never"}`, d, "data-edge": key }));
    edges.push(drawn("path", { class: `head${on ? " taken" : ""}`, d: tip }));
    const text = drawn("text", { class: `small${on ? " taken" : ""}`, x: at[0], y: at[1] }, label);
    text.dataset.plain = label;
    text.dataset.counted = `${label} ${count}×`.trim();
    edges.push(text);
  };
  const down = (x, at) => `M${x - 4} ${at - 6}L${x + 4} ${at - 6}L${x} ${at}Z`;
  const aside = (x, at) => `M${x - 6} ${at - 4}L${x - 6} ${at + 4}L${x} ${at}Z`;

  for (const edge of graph.edges) {
    const from = y(edge.start), label = yesNo(edge.answer);
    if (!place.has(edge.end)) continue;
    const to = y(edge.end);
    if (place.get(edge.end) === place.get(edge.start) + 1) {
      const x = left + 40;
      line(edge, `M${x} ${from + BOX}V${to - 4}`, down(x, to), label, [x + 7, to - 2]);
    } else {
      const x = left - (lanes.get(edge) + 1) * LANE, start = from + BOX - 6, end = to + 8;
      line(edge, `M${left} ${start}H${x + 5}Q${x} ${start} ${x} ${start + 5}V${end - 5}Q${x} ${end} ${x + 5} ${end}H${left - 4}`, aside(left, end), label, [left + 2, from + BOX + 9]);
    }
  }
  for (const node of rows) {
    nodes.push(box(node, left, y(node.name), WIDE, path, onChoose));
    const ends = graph.edges.filter((edge) => edge.start === node.name && !place.has(edge.end));
    const last = path.at(-1);
    if (path.at(-2) === node.name && !known.has(`${node.name} ${last}`) && !place.has(last)) {
      ends.push({ start: node.name, end: last, answer: null, raised: true });
    }
    ends.forEach((edge, at) => {
      const height = ends.length > 1 ? 15 : BOX, top = y(node.name) + (ends.length > 1 ? at * 17 - 4 : 0), middle = top + height / 2;
      line(edge, `M${left + WIDE} ${middle}H${right - 4}`, aside(right, middle), edge.raised ? "raised" : yesNo(edge.answer), [left + WIDE + 6, middle - 2]);
      const end = graph.nodes.find((each) => each.name === edge.end) ?? { name: edge.end, kind: "end", source: { by: "http", places: [] }, status: 0, says: "" };
      nodes.push(box(end, right, top, PILL, path, onChoose, height, taken.has(`${edge.start} ${edge.end}`)));
    });
  }
  svg.append(...edges, ...nodes);
  svg.onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const all = [...svg.querySelectorAll(".node")], here = all.indexOf(document.activeElement);
    if (step && here >= 0) { all[Math.min(Math.max(here + step, 0), all.length - 1)].focus(); event.preventDefault(); }
  };
  return svg;
}

// Which lane each edge that passes over rows takes: short ones near, none on top of another.
function laid(skips, place) {
  const lanes = new Map(), used = [];
  const length = (edge) => place.get(edge.end) - place.get(edge.start);
  for (const edge of [...skips].sort((one, other) => length(one) - length(other))) {
    const from = place.get(edge.start), to = place.get(edge.end);
    let lane = 0;
    while (used.some((each) => each.lane === lane && each.from < to && each.to > from)) lane += 1;
    used.push({ lane, from, to });
    lanes.set(edge, lane);
  }
  return lanes;
}

function box(node, x, y, wide, path, onChoose, height = BOX, come = true) {
  const at = come ? path.indexOf(node.name) : -1, on = at >= 0, own = node.source.by !== "http";
  const sign = own ? "◆" : node.kind === "action" ? "▸" : "○";
  const name = node.kind === "end" ? `${node.status || ""} ${node.name.replace("handle_", "").replaceAll("_", " ")}` : node.name;
  const said = `${name}, ${own ? "the resource's own" : "HTTP's"}${on ? `, step ${at + 1} of this request` : ", not come by"}`;
  const group = drawn("g", { class: `node ${node.kind}${on ? " on" : ""}${own ? " own" : ""}`, tabindex: on ? 0 : -1, role: "button", "aria-label": said, "data-name": node.name });
  const round = node.kind === "decision" ? 4 : height / 2;
  group.append(drawn("rect", { x, y, width: wide, height, rx: round }));
  if (height === BOX) group.append(drawn("rect", { class: "ring", x: x + 3, y: y + 3, width: wide - 6, height: height - 6, rx: round - 2 }));
  group.append(
    drawn("text", { x: x + 8, y: y + height / 2 + 4 }, `${on ? "✓" : " "} ${sign} ${name}`),
    drawn("title", {}, said),
  );
  const choose = () => {
    for (const each of group.ownerSVGElement.querySelectorAll(".chosen")) each.classList.remove("chosen");
    group.classList.add("chosen");
    onChoose(node);
  };
  group.onclick = choose;
  group.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") { choose(); event.preventDefault(); } };
  return group;
}

function counting(svg, is) {
  svg.classList.toggle("counted", is);
  for (const text of svg.querySelectorAll("text.small")) text.textContent = is ? text.dataset.counted : text.dataset.plain;
}
