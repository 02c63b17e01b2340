"use strict";
// Sending a request again, changed or not; finding one that comes to another end; two traces side by side.

function replayPart(trace) {
  const method = make("input", { id: "replay-method", type: "text", value: trace.summary.method, size: 8, "aria-label": "method" });
  const target = make("input", { id: "replay-target", type: "text", value: trace.summary.target, "aria-label": "target" });
  const skip = ["host", "connection", "content-length", "transfer-encoding"];
  const lines = trace.request.fields.filter(([name]) => !skip.includes(name)).map(([name, value]) => `${name}: ${value}`);
  const fields = make("textarea", { id: "replay-fields", rows: Math.min(12, lines.length + 2), spellcheck: "false", "aria-label": "header fields" }, lines.join("\n"));
  const content = make("textarea", { id: "replay-content", rows: 3, spellcheck: "false", "aria-label": "content" }, trace.request.content);
  const before = content.value;
  const said = make("p", { role: "status", id: "replay-said" });
  const send = async (event) => {
    event.preventDefault();
    const headers = fields.value.split("\n").filter((line) => line.includes(":")).map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
    await sending({ like: trace.summary.id, method: method.value, target: target.value, headers, content: content.value === before ? null : content.value }, said);
  };
  return make("section", {}, make("h3", {}, "Send it again"), make("form", { class: "card", id: "replay", onsubmit: send },
    make("p", { class: "quiet" }, "••• stands for what was really sent there. It goes to this server over loopback: GET and HEAD change nothing, the others do what they do."),
    make("div", { class: "row" }, method, target), fields, content, make("div", { class: "row" }, make("button", {}, "Send"), said)));
}

async function sending(wanted, said) {
  said.textContent = "sending …";
  try {
    const { id } = await ask("send", wanted);
    said.textContent = "";
    await open(id);
    $("trace").focus();
  } catch (error) { said.textContent = `Nothing was sent: ${error.message}`; said.className = "bad"; }
}

function reachPart(trace, graph) {
  const choice = make("select", { id: "end", "aria-label": "the end to come to" }, ...graph.ends.map((end) => make("option", { value: end.name, selected: end.name === trace.summary.end }, `${end.status} ${end.name.replace("handle_", "").replaceAll("_", " ")}`)));
  const answer = make("div", { id: "reach", "aria-live": "polite" });
  const find = async (event) => {
    event.preventDefault();
    let found;
    try { found = await ask(`${trace.summary.id}/reach?end=${encodeURIComponent(choice.value)}`); } catch (error) { answer.replaceChildren(make("p", { class: "bad" }, error.message)); return; }
    const parts = [make("p", {}, found.says)];
    if (found.request) {
      const asked = found.request;
      parts.push(make("pre", { id: "reach-request" }, [`${asked.method} ${asked.target}`, ...asked.headers.map(([name, value]) => `${name}: ${value}`), ...(asked.content ? ["", asked.content] : [])].join("\n")));
    }
    const needs = (list, caption) => list.length && parts.push(table(caption, ["decision", "answer", "what it takes"], list.map((each) => [each.decision, yesNo(each.answer), each.says])));
    needs(found.needs, "depends on the resource, and was not seen");
    needs(found.assumes, "depends on the resource, and was so when this was asked before");
    if (found.request) {
      const said = make("span", { role: "status" });
      const unsafe = !["GET", "HEAD", "OPTIONS"].includes(found.request.method);
      parts.push(make("p", { class: "row" }, make("button", { id: "reach-send", onclick: () => sending({ like: trace.summary.id, end: found.end }, said) }, unsafe ? "Send it: it may change something" : "Send it"), said));
    }
    answer.replaceChildren(...parts);
  };
  return make("section", {}, make("h3", {}, "Which request would come to …"), make("form", { class: "card", id: "reaching", onsubmit: find },
    make("div", { class: "row" }, choice, make("button", {}, "Find")), answer));
}

// The request that this one was made from beside it, and where they part.
async function beside(trace) {
  let old;
  try { old = await ask(trace.replays); } catch { return make("p", { class: "quiet" }, "It was made from a request whose trace is gone."); }
  const reached = trace.meant ? (trace.summary.end === trace.meant ? make("p", { class: "good", id: "meant" }, `✓ It came to ${trace.meant}, as it was meant to.`) : make("p", { class: "bad", id: "meant" }, `✗ It was meant to come to ${trace.meant}, and came to ${trace.summary.end}.`)) : null;
  const pick = (each) => each.steps.filter((step) => each.path.includes(step.name) || !each.path.length);
  const [left, right] = [pick(old), pick(trace)], names = [];
  for (const step of [...left, ...right]) if (!names.includes(step.name)) names.push(step.name);
  const text = (step) => (step ? `${step.name} ${yesNo(step.answer)}${step.why && step.answer !== null ? ` (${step.why})` : ""}` : "–");
  const rows = names.map((name) => {
    const one = left.find((step) => step.name === name), other = right.find((step) => step.name === name);
    const differs = one?.answer !== other?.answer || !one !== !other;
    return make("tr", { class: differs ? "differs" : "" }, make("td", {}, differs ? "≠" : "="), make("td", {}, text(one)), make("td", {}, text(other)));
  });
  const only = make("input", { type: "checkbox", checked: true, onchange: (event) => {
    for (const row of rows) row.hidden = event.target.checked && row.className !== "differs";
  } });
  for (const row of rows) row.hidden = row.className !== "differs";
  return make("section", {}, make("h3", {}, "Beside the one that it was made from"), make("div", { class: "card" }, reached,
    make("p", {}, make("a", { href: `${ROOT}/${old.summary.id}`, "data-id": old.summary.id }, `${old.summary.method} ${old.summary.target} → ${old.summary.status}`), ", ", `${old.summary.milliseconds} ms before, ${trace.summary.milliseconds} ms now`),
    make("p", {}, make("label", {}, only, " only the steps that differ")),
    make("table", { id: "compare", class: "compare" }, make("thead", {}, make("tr", {}, ...["", `before: ${old.summary.status}`, `now: ${trace.summary.status}`].map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...rows))));
}
