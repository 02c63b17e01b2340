"use strict";
// The requests as they come, newest first; which of them is shown is in the address.

const MOST = 200;
let traces = [], last = 0;

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

async function poll() {
  try {
    const said = await ask(`list?after=${last}`);
    if (said.last < last) { last = 0; traces = []; setTimeout(poll, 0); return; } // another server: begin anew
    last = said.last;
    $("broken").hidden = !said.broken;
    $("broken").textContent = said.broken;
    if (said.traces.length) {
      traces = [...said.traces, ...traces].slice(0, MOST);
      const methods = new Set([...$("method").options].map((option) => option.value));
      for (const { method } of said.traces) if (!methods.has(method)) { methods.add(method); $("method").append(make("option", {}, method)); }
      list();
    }
    $("link").textContent = "live";
    $("link").className = "";
  } catch (error) {
    if (error.said) { $("broken").hidden = false; $("broken").textContent = error.message; }
    $("link").textContent = "the server does not answer; trying again …";
    $("link").className = "lost";
  }
  setTimeout(poll, document.hidden ? 2000 : 500);
}

poll();
if (addressed()) open(addressed(), false);
