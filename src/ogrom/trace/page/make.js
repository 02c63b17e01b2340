"use strict";
// What all parts share. Whatever comes from outside is put in as text, never as HTML.

const $ = (id) => document.getElementById(id);
const ROOT = "/-/trace";
const REASON = {
  200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 300: "Multiple Choices", 301: "Moved Permanently",
  303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
  401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 409: "Conflict",
  410: "Gone", 412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
  422: "Unprocessable Content", 428: "Precondition Required", 429: "Too Many Requests", 451: "Unavailable For Legal Reasons",
  500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
};

function make(name, given, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given ?? {})) {
    if (key.startsWith("on")) made[key] = value;
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawn(name, given, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const status = (code) => make("span", { class: `status s${Math.floor(code / 100)}` }, code ? `${code} ${REASON[code] ?? ""}`.trim() : "no answer");
const yesNo = (answer) => (answer === true ? "yes" : answer === false ? "no" : "");

async function ask(path, sent) {
  const token = document.querySelector("meta[name=ogrom-token]").content;
  const how = sent === undefined ? {} : {
    method: "POST", body: JSON.stringify(sent), headers: { "Content-Type": "application/json", "Ogrom-Token": token },
  };
  const answer = await fetch(`${ROOT}/${path}`, { ...how, headers: { Accept: "application/json", ...how.headers } });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.detail ?? `${answer.status}`), { said: true });
  return said;
}

function table(caption, names, rows) {
  return make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))));
}
