"use strict";
// The requests as they come, newest first; which of them is shown is in the address.

const MOST = 200;
let traces = [], last = "";

function matches(summary) {
  const path = $("path").value.trim().toLowerCase(), method = $("method").value, kind = $("status").value;
  return (!path || summary.target.toLowerCase().includes(path)) && (!method || summary.method === method) && (!kind || String(summary.status).startsWith(kind[0]));
}

function item(summary) {
  const current = $("trace").dataset.id === summary.id;
  return make("li", {}, make("a", { href: `${ROOT}/${summary.id}`, "data-id": summary.id, "aria-current": current ? "true" : null },
    make("b", {}, summary.method), make("span", { class: "target", title: summary.target }, summary.target), status(summary.status),
    make("span", { class: "more" }, make("span", {}, `${new Date(summary.at * 1000).toLocaleTimeString()} ${summary.end.replace("handle_", "")}${summary.error ? " ⚠ raised" : ""}`), make("span", {}, `${summary.milliseconds} ms`))));
}

function list() {
  const focused = document.activeElement?.closest("#requests a")?.dataset.id;
  const shown = traces.filter(matches);
  $("requests").replaceChildren(...shown.map(item));
  $("none").hidden = shown.length > 0;
  if (traces.length && !shown.length) $("none").textContent = "No request fits the filter.";
  if (focused) document.querySelector(`#requests a[data-id="${CSS.escape(focused)}"]`)?.focus();
}

async function open(id, push = true) {
  if (push) history.pushState({}, "", `${ROOT}/${id}`);
  await show(id);
  list();
}

const addressed = () => location.pathname.slice(ROOT.length + 1).replace(/\/$/, "");

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-id]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(link.dataset.id);
});
$("requests").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const links = [...$("requests").querySelectorAll("a")], here = links.indexOf(document.activeElement);
  if (step && here >= 0) { links[Math.min(Math.max(here + step, 0), links.length - 1)].focus(); event.preventDefault(); }
});
window.addEventListener("popstate", () => { if (addressed()) open(addressed(), false); });
$("filter").onsubmit = (event) => event.preventDefault();
for (const id of ["path", "method", "status"]) $(id).oninput = list;

// What the server tells as it happens; who was cut off says what came last, and misses nothing.
function heard(kind, id, data) {
  if (kind === "anew") traces = [];
  if (kind === "broken") { const why = JSON.parse(data); $("broken").hidden = !why; $("broken").textContent = why; }
  if (kind === "trace") {
    const summary = JSON.parse(data);
    last = id;
    traces = [summary, ...traces].slice(0, MOST);
    if (![...$("method").options].some((option) => option.value === summary.method)) $("method").append(make("option", {}, summary.method));
  }
}

async function listen() {
  const answer = await fetch(`${ROOT}/events`, { headers: { Accept: "text/event-stream, application/json", ...(last && { "Last-Event-ID": last }) } });
  if (!answer.ok) throw Object.assign(new Error((await answer.json()).detail ?? `${answer.status}`), { said: true });
  $("link").textContent = "live";
  $("link").className = "";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const said = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
      heard(said.event, said.id, said.data);
    }
    list();
  }
}

async function follow() {
  for (;;) {
    try { await listen(); } catch (error) {
      if (error.said) { $("broken").hidden = false; $("broken").textContent = error.message; }
      $("link").textContent = "the server does not answer; trying again …";
      $("link").className = "lost";
    }
    await new Promise((wake) => setTimeout(wake, 300));
  }
}

follow();
if (addressed()) open(addressed(), false);
