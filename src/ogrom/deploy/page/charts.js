"use strict";
// Lines over the last ten minutes, drawn anew each second. Knows nothing of deployment.

const SPAN = 600, HEIGHT = 150, LEFT = 34, BOTTOM = 16, TOP = 6, RIGHT = 5, APART = 70;
const widthOf = (svg) => Math.max(svg.clientWidth, 120);

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The next of 1, 2, 5, 10, … that is not below a value.
function above(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= value);
}

// What tells two lines apart where colours do not: blue has dots, green has squares.
function marker(kind, x, y) {
  return kind === "green"
    ? element("rect", { class: `${kind} marker`, x: x - 2.5, y: y - 2.5, width: 5, height: 5 })
    : element("circle", { class: `${kind} marker`, cx: x, cy: y, r: 2.8 });
}

// lines: [{kind: "blue", dashed: false, points: [[seconds, value or null], …]}, …]; marks: [seconds, …]
function draw(svg, now, span, lines, marks) {
  const width = widthOf(svg);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const most = above(Math.max(1, ...lines.flatMap((line) => line.points.map((point) => point[1] ?? 0))));
  const x = (at) => LEFT + (width - LEFT - RIGHT) * (1 - (now - at) / span);
  const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value / most);
  const parts = [];
  for (const part of [0, 0.5, 1]) {
    const height = y(most * part);
    parts.push(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: height, y2: height }));
    parts.push(element("text", { x: 0, y: height + 4 }, String(most * part)));
  }
  for (const back of [span, span / 2, 0]) {
    const text = !back ? "now" : back < 120 ? `-${Math.round(back)} s` : `-${(back / 60).toFixed(1)} min`;
    parts.push(element("text", { x: Math.min(x(now - back), width - 24), y: HEIGHT - 3 }, text));
  }
  for (const at of marks) {
    if (now - at < span) parts.push(element("line", { class: "mark", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
  }
  for (const line of lines) {
    let path = "", pen = "M", marked = Infinity;
    for (const [at, value] of [...line.points].reverse()) { // the newest has a marker
      if (value === null || now - at > span) { pen = "M"; continue; }
      path += pen === "M" ? `M${x(at).toFixed(1)} ${y(value).toFixed(1)}h0` : `L${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
      if (marked - x(at) >= APART) {
        marked = x(at);
        parts.push(marker(line.kind, marked, y(value)));
      }
    }
    parts.push(element("path", { class: line.kind + (line.dashed ? " dashed" : ""), d: path || "M0 0" }));
  }
  svg.replaceChildren(...parts);
}

// Which second the pointer is at, for who wants to say what was then.
function secondAt(svg, event, now, span) {
  const box = svg.getBoundingClientRect();
  return now - span * (1 - (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT));
}
