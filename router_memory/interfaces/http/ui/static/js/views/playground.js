// Playground: a search as a decision would do it, with every number behind it drawn.

import { ask, get } from "../api.js";
import { fill, h } from "../dom.js";
import { several } from "../format.js";
import { draw } from "../explained.js";
import { choice, field, head, notice, panel } from "../parts.js";
import { TYPE } from "../words.js";
import { user } from "../who.js";

export const title = "Playground";
export const needs = "user";

const MODES = [["", "as the decision says"], ["dense", "dense: by meaning alone"], ["rerank", "rerank: all signals"], ["weighted", "weighted"], ["rrf", "rrf: fused ranks"]];
const CUTOFFS = [["", "as the decision says"], ["fixed", "fixed: the threshold"], ["relative", "relative: adaptive"], ["elbow", "elbow: largest gap"]];

let last = { query: "", decision: "" };

export function open(root, app) {
  const controls = {
    decision: choice([["", "none: the globals"]], last.decision),
    query: h("textarea", { rows: "2", required: true, placeholder: "What would the user ask?", value: last.query }),
    limit: h("input", { type: "number", min: "1", max: "100", step: "1", placeholder: "the decision's" }),
    threshold: h("input", { type: "number", min: "0", max: "1", step: "any", placeholder: "the decision's" }),
    mode: choice(MODES, ""),
    cutoff: choice(CUTOFFS, ""),
    types: Object.keys(TYPE).map((name) => h("input", { type: "checkbox", value: name })),
  };
  const who = user(app);
  const go = h("button", { type: "submit", class: "main" }, "Search");
  const result = h("div", { "aria-busy": "false" });
  const form = h("form", null, fields(controls, who), h("div", { class: "row acts" }, go, h("span", { class: "note" }, "Or Ctrl + Enter in the query. A search changes nothing: nothing is stored, and no memory counts as used.")));
  const search = (event) => {
    event?.preventDefault();
    if (form.reportValidity()) run(app, who, controls, result, go);
  };
  form.addEventListener("submit", search);
  controls.query.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) search(event);
  });
  root.append(head(title, "What a decision would find for a query, in whose memories, and why."), panel("Search", { id: "panel-search" }, form), result);
  if (app.access === "admin") offer(controls.decision);
}

function fields(controls, who) {
  return [
    h("div", { class: "fields" }, who.fields, field("Decision", controls.decision), field("Query", controls.query, { kind: "all" })),
    h(
      "details",
      null,
      h("summary", null, "In place of what the decision says"),
      h(
        "div",
        { class: "fields" },
        field("Limit", controls.limit),
        field("Threshold", controls.threshold, { help: "0 to 1; with 0 everything the limit allows is returned" }),
        field("Order", controls.mode),
        field("Cut-off", controls.cutoff),
        h("fieldset", { class: "all" }, h("legend", null, "Types, none for all"), h("div", { class: "row" }, controls.types.map((box) => h("label", null, box, ` ${box.value}`)))),
      ),
    ),
  ];
}

async function offer(decision) {
  try {
    const { data } = await get("decisions");
    decision.append(...(data.decisions ?? []).map((one) => h("option", { value: one.name, selected: one.name === last.decision }, one.name)));
  } catch {
    // the globals can still be asked, and the frame tells what is wrong
  }
}

async function run(app, who, controls, result, go) {
  const body = wanted(controls);
  last = { query: body.query, decision: body.decision ?? "" };
  go.disabled = true;
  result.setAttribute("aria-busy", "true");
  try {
    const { data } = await ask("POST", "memory/search", { body, who: who.read() });
    if (!result.isConnected) return;
    fill(result, draw(data.explain, data));
    app.say(`${several(data.results?.length ?? 0, "memory", "memories")} returned.`);
  } catch (error) {
    fill(result, notice("bad", error.message));
    app.say(error.message);
  } finally {
    go.disabled = false;
    result.setAttribute("aria-busy", "false");
  }
}

/** The body of the search: what is left empty is left out, and so is the decision's. */
function wanted(controls) {
  const body = { query: controls.query.value, explain: true };
  if (controls.decision.value) body.decision = controls.decision.value;
  if (controls.limit.value) body.limit = Number(controls.limit.value);
  if (controls.threshold.value) body.threshold = Number(controls.threshold.value);
  if (controls.mode.value) body.mode = controls.mode.value;
  if (controls.cutoff.value) body.cutoff = controls.cutoff.value;
  const types = controls.types.filter((box) => box.checked).map((box) => box.value);
  if (types.length) body.types = types;
  return body;
}
