// Decisions: what each asks of memory, and which of it the decision says itself.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { plain, several } from "../format.js";
import { empty, facts, head, num, Num, panel, table } from "../parts.js";

export const title = "Decisions";
export const needs = "admin";

const SHOWN = [
  ["enabled", "reads"],
  ["auto_store", "writes"],
  ["recall.mode", "order"],
  ["recall.limit", "limit", "num"],
  ["recall.threshold", "threshold", "num"],
  ["recall.cutoff", "cut-off"],
  ["reflection.algorithm", "filter"],
  ["reflection.max_inject_tokens", "tokens", "num"],
  ["inject.role", "role"],
];
const HIDDEN = new Set(["decision", "enabled_by", "auto_store_by"]);

export function open(root, app, chosen) {
  const body = h("div");
  let fresh = true;
  root.append(head(title, "A decision is the route a router chose for a request. What it leaves out it takes from the globals, and what it says wins over them in both directions."), body);
  app.watch(async (signal) => {
    const { data } = await get("decisions", { signal });
    if (signal.aborted) return;
    const focus = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    fill(body, draw(data, chosen));
    if (focus) body.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
    else if (fresh) body.querySelector("#panel-all")?.focus();
    fresh = false;
  }, 30_000);
}

function draw(data, chosen) {
  const globals = flat(data.globals ?? {});
  const decisions = data.decisions ?? [];
  const picked = decisions.find((one) => one.name === chosen);
  return [
    panel("Policies", { about: several(decisions.length, "decision", "decisions") }, legend(), policies(decisions, globals)),
    picked ? whole(picked, globals) : null,
    aliases(data),
  ];
}

const legend = () =>
  h("p", { class: "legend" }, h("span", { class: "own" }, "set by the decision"), h("span", { class: "inherited" }, "as in the globals"));

function policies(decisions, globals) {
  const columns = ["decision", ...SHOWN.map(([, text, kind]) => (kind ? Num(text) : text))];
  const row = (name, values, own) => [
    name,
    ...SHOWN.map(([path, , kind]) => {
      const cell = sourced(value(path, values[path]), own ? own(path) : null);
      return kind ? num(cell) : { kind: "nowrap", of: cell };
    }),
  ];
  const rows = decisions.map((one) => {
    const values = flat(one.policy ?? {});
    return row(h("a", { href: `#/decisions/${encodeURIComponent(one.name)}` }, one.name), values, ownership(one, values, globals));
  });
  return table("The policy of each decision", columns, [row("globals", globals, null), ...rows], { rowClass: (place) => (place ? null : "muted") });
}

function whole(one, globals) {
  const values = flat(one.policy ?? {});
  const own = ownership(one, values, globals);
  const rows = Object.keys(values)
    .filter((path) => !HIDDEN.has(path))
    .map((path) => [h("code", null, path), sourced(value(path, values[path]), own(path)), { kind: "muted", of: value(path, globals[path]) }, own(path) ? "the decision" : "as in the globals"]);
  return panel(`All of ${one.name}`, { id: "panel-all", focused: true }, table(`Every value of ${one.name}`, ["key", "value", "globals", "comes from"], rows), h("p", { class: "note" }, h("a", { href: "#/decisions" }, "Close")));
}

function aliases(data) {
  const models = data.models ?? [];
  return panel(
    "How a request finds its decision",
    { id: "panel-aliases" },
    facts([
      data.decision_header ? ["first", ["the header ", h("code", null, data.decision_header)]] : null,
      ["then", models.length ? "the model the client names, by the table below" : "the model the client names; no aliases are configured"],
      ["else", data.default_decision ? h("code", null, data.default_decision) : "no decision: the request passes through without memory"],
    ]),
    models.length
      ? table("Model aliases", ["model", "decision", "upstream model"], models.map((one) => [h("code", null, one.name), one.decision || "–", one.upstream_model || "–"]))
      : null,
    data.decisions?.length ? null : empty("The configuration names no decisions; every request gets the globals."),
  );
}

/** Whether a value is the decision's own: the policy says so of its two switches, of the rest that it differs tells. */
function ownership(one, values, globals) {
  const deciding = { enabled: one.policy?.enabled_by, auto_store: one.policy?.auto_store_by };
  return (path) => (deciding[path] ? deciding[path] === "decision_config" : plain(values[path]) !== plain(globals[path]));
}

const value = (path, held) => (path.endsWith("threshold") && typeof held === "number" ? held.toFixed(Math.max(2, String(held).split(".")[1]?.length ?? 0)) : plain(held));

function sourced(text, own) {
  if (own === null) return text;
  return h("span", { class: own ? "own" : "inherited" }, text, own ? h("span", { class: "hidden" }, ", set by the decision") : null);
}

function flat(value, prefix = "") {
  return Object.entries(value).reduce((all, [key, held]) => {
    const nested = held && typeof held === "object" && !Array.isArray(held);
    return Object.assign(all, nested ? flat(held, `${prefix}${key}.`) : { [`${prefix}${key}`]: held });
  }, {});
}
