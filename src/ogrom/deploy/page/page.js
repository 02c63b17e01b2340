"use strict";
// Shows one target, live. Whatever comes from outside is put in as text, never as HTML.

const NAMES = ["blue", "green"];
const $ = (id) => document.getElementById(id);
let state = null;
let series = [];

function make(name, kind, ...children) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}

const short = (release) => (release ? release.commit.slice(0, release.commit.startsWith("tree-") ? 12 : 7) : "–");
const live = () => {
  const all = Object.values(state.observation.environments);
  const best = all.reduce((a, b) => ((b.share ?? 0) > (a.share ?? 0) ? b : a));
  return best.share ? best : null;
};

// An environment's card is made once and filled anew, so that its bar moves and focus stays.
function card(name) {
  const bar = make("i");
  const parts = { commit: make("code"), what: make("b"), bar, figures: make("p", "figures"), list: make("ul") };
  const made = make("article", name, make("h3", "", name, parts.commit, parts.what), make("div", "share", bar), parts.figures, parts.list);
  return Object.assign(made, { parts });
}

function fill({ parts }, environment) {
  const { name, release, share = 0, wanted = 0, instances = [], in_flight = 0, counts = {} } = environment;
  const healthy = instances.filter((each) => each.state === "healthy").length;
  parts.commit.textContent = short(release);
  parts.what.textContent = live()?.name === name ? "live" : share ? "on trial" : release ? "ready, without traffic" : "empty";
  parts.bar.style.width = `${share}%`;
  const figure = (value, unit) => make("span", "", make("b", "", String(value)), ` ${unit}`);
  parts.figures.replaceChildren(
    figure(`${share} %`, "of the traffic"), figure(`${healthy} of ${wanted}`, "healthy"), figure(in_flight, "in flight"),
    figure((counts.errors ?? 0).toLocaleString("en"), `of ${(counts.requests ?? 0).toLocaleString("en")} failed`),
  );
  parts.list.replaceChildren(...instances.map((each) => {
    const item = make("li", each.state === "healthy" ? "" : "bad", `${name}-${each.number}  ${each.state}`);
    item.append(make("span", "quiet", `  pid ${each.pid ?? "–"}, ${each.restarts ?? 0} restarts ${each.detail ?? ""}`));
    return item;
  }));
}

// What has become of each step of the newest rollout.
function steps() {
  const [first, ...lines] = state.journal;
  if (!first?.plan) return [make("li", "pending", "None yet: ogrom deploy")];
  const became = new Map();
  for (const line of lines) if (line.step) became.set(line.step, line);
  const end = lines.find((line) => line.end)?.end;
  const items = first.plan.steps
    .filter((step) => became.has(step.id) || !["shift_back", "discard"].includes(step.name))
    .map((step) => {
      const line = became.get(step.id);
      const kind = !line ? "pending" : line.event === "begin" ? (end ? "pending" : "running") : line.event;
      const tail = line?.detail ? `: ${line.detail}` : kind === "pending" ? `, and if it fails ${step.fails}` : "";
      return make("li", kind, `${step.environment} ${step.id}${tail}`);
    });
  if (end) items.push(make("li", end === "live" ? "done" : "failed", `${short(first.plan.release)}: ${end}`));
  return items;
}

function row(entry) {
  const cells = [
    new Date(entry.at).toLocaleString(), `${entry.who}@${entry.host}`, entry.kind, short(entry.old), short(entry.release),
    entry.result, entry.seconds?.toFixed(1), `${entry.failed ?? 0} of ${entry.requests ?? 0}`, entry.reason ?? "",
  ];
  return make("tr", "", ...cells.map((cell, place) => make("td", place === 5 && cell !== "live" ? "bad" : "", String(cell ?? ""))));
}

function cards() {
  const place = $("environments");
  if (!place.children.length) place.append(...NAMES.map(card));
  NAMES.forEach((name, at) => fill(place.children[at], state.observation.environments[name]));
}

function show() {
  document.title = `${state.target} – Ogrom`;
  $("target").textContent = state.target;
  $("listen").textContent = state.listen;
  $("listen").href = `http://${state.listen}/`;
  cards();
  $("steps").replaceChildren(...steps());
  $("history").replaceChildren(...state.history.filter((entry) => entry.release).reverse().slice(0, 20).map(row));
  const now = live(), can = now && state.back;
  $("rollback").disabled = !can;
  $("question").textContent = can ? `All traffic goes from ${short(now.release)} back to ${short(state.back)}. ` : "";
  if (state.rolled) $("said").textContent = state.rolled;
  if (document.activeElement?.form !== $("scale")) {
    $("minimum").value = state.observation.minimum ?? 1;
    $("maximum").value = state.observation.maximum ?? 1;
  }
}

// How much is shown: all that is known, at least a minute.
const spanAt = (now) => Math.min(SPAN, Math.max(60, now - (series[0]?.at ?? now)));

function charts() {
  const now = Date.now() / 1000, span = spanAt(now);
  const marks = (state?.journal ?? []).filter((line) => line.event === "begin").map((line) => Date.parse(line.at) / 1000);
  const line = (name, value, dashed) => ({
    kind: name, dashed,
    points: series.map((sample) => [sample.at, sample.parts[name] ? value(sample.parts[name]) : null]),
  });
  const both = (value, dashed = false) => NAMES.map((name) => line(name, value, dashed));
  const ms = (key) => (point) => (point.requests ? point[key] * 1000 : null);
  draw($("rate"), now, span, both((point) => point.requests ?? 0), marks);
  draw($("latency"), now, span, [...both(ms("p50")), ...both(ms("p99"), true)], marks);
  draw($("errors"), now, span, both((point) => point.errors ?? 0), marks);
}

// Says what was at a second: where the pointer is, or that the arrow keys go to.
let told = null;

function tell(at) {
  const near = series.reduce((best, each) => (Math.abs(each.at - at) < Math.abs((best?.at ?? 0) - at) ? each : best), null);
  if (!near) return;
  told = near.at;
  const words = NAMES.map((name) => {
    const point = near.parts[name] ?? {};
    return `${name} ${point.requests ?? 0}/s, p99 ${((point.p99 ?? 0) * 1000).toFixed(1)} ms, ${point.errors ?? 0} errors`;
  });
  $("hover").textContent = `${new Date(near.at * 1000).toLocaleTimeString()}: ${words.join("; ")}`;
}

function hover(event) {
  const now = Date.now() / 1000;
  tell(secondAt(event.currentTarget, event, now, spanAt(now)));
}

function step(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
  if (!by || !series.length) return;
  event.preventDefault();
  tell((told ?? series.at(-1).at) + by);
}

async function send(path, value) {
  const token = document.querySelector("meta[name=ogrom-token]").content;
  try {
    const answer = await fetch(path, {
      method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json", "Ogrom-Token": token },
    });
    const said = await answer.json();
    $("said").textContent = said.detail ?? "done";
  } catch (error) {
    $("said").textContent = `Nothing was done: ${error.message}`;
  }
}

function listen() {
  const events = new EventSource("/events");
  events.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    series = state.series;
    show();
    charts();
  });
  events.addEventListener("sample", (event) => {
    const sample = JSON.parse(event.data);
    series.push(sample);
    for (const name of NAMES) { // what a second changes of a card
      const environment = state?.observation.environments[name], point = sample.parts[name];
      if (!environment || !point) continue;
      environment.in_flight = point.in_flight ?? 0;
      environment.counts = {
        requests: (environment.counts?.requests ?? 0) + (point.requests ?? 0),
        errors: (environment.counts?.errors ?? 0) + (point.errors ?? 0),
      };
    }
    if (state) cards();
    if (series.length > SPAN) series.shift();
    charts();
  });
  events.onopen = () => { $("link").textContent = "live"; $("link").className = ""; };
  events.onerror = () => { // the browser connects again by itself
    $("link").textContent = "ogrom up does not answer; trying again …";
    $("link").className = "lost";
  };
}

const asking = (is) => { $("confirm").hidden = !is; $("rollback").hidden = is; };
$("rollback").onclick = () => { asking(true); $("no").focus(); };
$("no").onclick = () => asking(false);
$("yes").onclick = () => { asking(false); send("/rollback", {}); };
$("scale").onsubmit = (event) => {
  event.preventDefault();
  send("/scale", { minimum: Number($("minimum").value), maximum: Number($("maximum").value) });
};
for (const id of ["rate", "latency", "errors"]) Object.assign($(id), { onpointermove: hover, onkeydown: step });
listen();
