"use strict";
// One trace: summary, the resource's graph, steps, both messages, the command that sends it again.

function why(step, node) {
  const source = (step ?? node).source;
  const who = { own: "the resource's own function", declared: "declared by the resource", http: "HTTP's own rule" }[source.by];
  const inner = make("div", { class: "inner" });
  inner.append(make("p", {}, make("b", {}, step?.name ?? node.name), ` ${(step ?? node).says} `, step ? make("b", {}, yesNo(step.answer)) : make("i", {}, "not come by")));
  if (step?.why) inner.append(make("p", { class: "because" }, `${step.why}`));
  if (step?.rows.length) {
    inner.append(table("what was compared", ["this", "against", "is", ""], step.rows.map((row) => [row.what, row.against, row.verdict, row.holds === true ? "✓" : row.holds === false ? "✗" : ""])));
  }
  inner.append(make("p", { class: "quiet" }, `${who}${(step ?? node).rfc ? ` · ${(step ?? node).rfc}` : ""}${step ? ` · ${step.microseconds} µs` : ""}`));
  for (const place of source.places) inner.append(make("p", { class: "mono" }, `${place.keyword} = ${place.name}  ${place.where}`));
  if (step?.added.length) inner.append(table("what is known since", ["what", "value"], step.added.map((each) => [each.to, each.value])));
  return inner;
}

function stepList(trace) {
  const own = new Set(trace.path);
  return make("ol", { id: "steps" }, ...trace.steps.map((step) => {
    const kind = `${step.source.by === "http" ? "" : "own"}${own.has(step.name) ? "" : " folded"}`;
    const sign = step.source.by === "http" ? "○" : "◆";
    return make("li", { class: kind, "data-name": step.name, hidden: !own.has(step.name) && trace.path.length > 0 },
      make("details", {},
        make("summary", {}, make("span", {}, sign), make("b", { class: "mono" }, step.name), make("b", {}, step.kind === "end" ? "end" : yesNo(step.answer) || "done"),
          make("span", { class: "says" }, step.why || step.says), make("span", { class: "took" }, `${step.microseconds} µs`)),
        why(step)));
  }));
}

function message(title, message, first) {
  return make("section", { class: "card" }, make("h3", {}, title), make("p", { class: "mono" }, first),
    table("", ["field", "value"], message.fields), make("p", { class: "quiet" }, message.note), make("pre", {}, message.content));
}

function summaryOf(trace) {
  const { summary } = trace, end = trace.steps.at(-1);
  const pairs = [
    ["when", `${new Date(summary.at * 1000).toLocaleString()}, ${summary.milliseconds} ms`],
    ["resource", trace.resource || "none"],
    ["route", trace.pattern ? `${trace.pattern} ${trace.parameters.map(([name, value]) => `${name}=${value}`).join(" ")}` : "none fits"],
    ["came to", summary.end ? `${summary.end}${end.why && !end.why.startsWith("here") ? `: ${end.why}` : ""}` : "no end"],
    ["request id", trace.request_id],
    ["trace id", `${trace.trace_id}${trace.client_traced ? ", brought by the request" : ""}`],
  ];
  return make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function graphPart(trace, graph) {
  const panel = make("div", { id: "why", class: "card", role: "region", "aria-live": "polite", "aria-label": "Why" }, make("p", { class: "quiet" }, "Choose a place in the graph: why it went on as it did stands here."));
  const steps = new Map(trace.steps.map((step) => [step.name, step]));
  const svg = draw(graph, trace.path, (node) => panel.replaceChildren(why(steps.get(node.name), node)));
  svg.id = "graph";
  const box = make("input", { type: "checkbox", id: "coverage", onchange: (event) => counting(svg, event.target.checked) });
  const edges = graph.edges.length, taken = graph.edges.filter((edge) => graph.counts[`${edge.start} ${edge.end}`]).length;
  return make("section", {}, make("h3", {}, `The graph of ${graph.method} ${graph.resource || "this resource"}`),
    make("p", { class: "legend" }, make("span", {}, "◆ double border: decided by the resource"), make("span", {}, "○ decided by HTTP"), make("span", {}, "✓ thick: the way taken"), make("span", {}, "dashed: not taken")),
    make("p", {}, make("label", {}, box, ` coverage: ${taken} of ${edges} edges taken by ${graph.requests} recorded ${graph.requests === 1 ? "request" : "requests"}`)),
    make("div", { class: "graph" }, make("div", {}, svg), panel));
}

async function show(id) {
  const place = $("trace");
  let trace;
  try { trace = await ask(id); } catch (error) { place.replaceChildren(make("p", { class: "bad" }, error.message)); return; }
  const graph = trace.pattern ? await ask(`${id}/graph`).catch(() => null) : null;
  const { summary } = trace;
  const first = `${summary.method} ${summary.target}`;
  document.title = `${summary.status} ${first} – Ogrom`;
  const parts = [make("h2", {}, `${first} → `, status(summary.status)), make("div", { class: "card" }, summaryOf(trace))];
  if (trace.error) {
    parts.push(make("h3", {}, trace.error.expected ? "Refused" : "Raised"), make("div", { class: "card" }, make("p", { class: "bad" }, `${trace.error.kind}: ${trace.error.message}`), make("pre", { id: "traceback" }, trace.error.traceback)));
  }
  if (trace.tried.length && !trace.pattern) parts.push(make("section", { class: "card" }, table("routes that go farthest with it", ["route", "why not"], trace.tried.map((each) => [each.pattern, each.says]))));
  if (trace.replays) parts.push(await beside(trace));
  if (graph) parts.push(graphPart(trace, graph));
  const list = stepList(trace);
  const all = make("input", { type: "checkbox", id: "all", onchange: (event) => {
    for (const item of list.querySelectorAll(".folded")) item.hidden = !event.target.checked;
  } });
  parts.push(make("section", {}, make("h3", {}, "Steps"), make("p", {}, make("label", {}, all, " also those that are known beforehand")), make("div", { class: "card" }, list)));
  if (trace.calls.length) parts.push(make("section", { class: "card", id: "calls" }, table("sources that were asked", ["source", "call", "what", "came to", "after ms", "took ms"], trace.calls.map((each) => [`${each.source} ${each.where}`, each.name, each.says, each.error || each.status || "✓", each.at, each.milliseconds]))));
  parts.push(make("div", { class: "two" }, message("Request", trace.request, first), message("Response", trace.response, `${summary.status} ${REASON[summary.status] ?? ""}`)));
  if (trace.curl) {
    const command = make("pre", { id: "curl" }, trace.curl);
    const copy = make("button", { id: "copy", onclick: async () => { await navigator.clipboard.writeText(trace.curl); copy.textContent = "Copied"; } }, "Copy");
    parts.push(make("section", {}, make("h3", {}, "As a command"), make("div", { class: "card" }, command, make("p", { class: "row" }, copy))));
  }
  parts.push(replayPart(trace));
  if (graph) parts.push(reachPart(trace, graph));
  place.replaceChildren(...parts);
  place.dataset.id = id;
}
