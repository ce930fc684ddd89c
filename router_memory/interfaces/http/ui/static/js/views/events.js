// Events: what happened to the service lately, newest first.

import { get } from "../api.js";
import { fill, h, morph } from "../dom.js";
import { plain, several, since, spaced } from "../format.js";
import { choice, empty, field, head, panel, time } from "../parts.js";

export const title = "Events";
export const needs = "admin";

const LIMIT = 200;
const LOOK = { error: "bad", warn: "warn" };
const MEANING = { bad: "a fault", warn: "a warning" };
const OWN = new Set(["at", "kind", "worker", "level", "pid"]);

export function open(root, app) {
  let events = [];
  const chats = h("input", { type: "checkbox", id: "chats" });
  const list = h("div");
  const kind = choice([["", "All kinds"]], "", { id: "kind" });
  kind.addEventListener("change", () => draw(list, events, kind.value));
  root.append(head(title, "Starts, reloads, stores that went away and came back, of all workers; nothing of users or of what they said."), h("div", { class: "row filter" }, field("Show", kind), h("label", null, chats, " with the latest chats")), list);
  const watched = app.watch(async (signal) => {
    const { data } = await get("events", { query: { limit: LIMIT, requests: chats.checked ? "true" : null }, signal });
    if (signal.aborted) return;
    events = data.events ?? [];
    offer(kind, [...new Set(events.map((one) => one.kind))].sort());
    draw(list, events, kind.value);
  }, 5_000);
  chats.addEventListener("change", () => watched.now());
}

function offer(kind, kinds) {
  const there = [...kind.options].slice(1).map((option) => option.value);
  if (there.join() === kinds.join()) return;
  const chosen = kind.value;
  fill(kind, h("option", { value: "" }, "All kinds"), kinds.map((name) => h("option", { value: name }, spaced(name))));
  kind.value = kinds.includes(chosen) ? chosen : "";
}

function draw(list, events, kind) {
  const shown = events.filter((one) => !kind || one.kind === kind);
  morph(
    list,
    panel(
      "Timeline",
      { about: several(shown.length, "event", "events") },
      shown.length ? h("ol", { class: "timeline" }, shown.map(item)) : empty("Nothing has happened yet that is worth telling."),
    ),
  );
}

function item(one) {
  const fields = Object.entries(one).filter(([name, held]) => !OWN.has(name) && held !== null && held !== "");
  const look = LOOK[one.level];
  return h(
    "li",
    { class: look ?? null },
    h("span", { class: "muted" }, time(one.at)),
    h(
      "div",
      null,
      h("span", { class: "what" }, spaced(one.kind)),
      look ? h("span", { class: "hidden" }, `, ${MEANING[look]}`) : null,
      h("span", { class: "muted" }, ` · ${since(one.at)} ago`, one.worker === undefined || one.worker === null ? null : ` · worker ${one.worker}`),
      h("div", { class: "detail" }, fields.map(([name, held]) => h("span", null, `${spaced(name)}: ${plain(held)}`))),
    ),
  );
}
