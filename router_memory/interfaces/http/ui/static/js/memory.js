// One memory: shown, and in an editor.

import { h } from "./dom.js";
import { several } from "./format.js";
import { choice, field, time } from "./parts.js";
import { TYPE } from "./words.js";

const TYPES = Object.keys(TYPE).map((name) => [name, name]);
const MEANING = Object.entries(TYPE).map(([name, text]) => `${name}: ${text}`).join("; ");

/** A memory with what can be done to it. */
export function item(memory, { edit, forget }) {
  return [
    h(
      "div",
      null,
      h("p", { class: "content" }, memory.content),
      h(
        "p",
        { class: "meta" },
        h("span", { class: "tag" }, memory.type),
        memory.project ? h("span", null, `project ${memory.project}`) : null,
        memory.speaker ? h("span", null, `said by ${memory.speaker}`) : null,
        h("span", null, time(memory.created_at)),
        memory.updated_at && memory.updated_at !== memory.created_at ? h("span", null, "changed ", time(memory.updated_at)) : null,
        h("span", null, `importance ${memory.importance}`),
        h("span", null, memory.access_count ? `injected ${several(memory.access_count, "time", "times")}` : "never injected"),
        h("span", { class: "id" }, memory.id),
      ),
    ),
    h(
      "div",
      { class: "row acts" },
      h("button", { type: "button", class: "quiet", "aria-label": `Edit: ${start(memory.content)}`, on: { click: edit } }, "Edit"),
      h("button", { type: "button", class: "quiet", "aria-label": `Forget: ${start(memory.content)}`, on: { click: forget } }, "Forget…"),
    ),
  ];
}

const start = (text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** A form for a new memory, or for one that is there. */
export function editor({ act, memory = null, cancel = null }) {
  const content = h("textarea", { required: true, rows: memory ? "3" : "2", value: memory?.content ?? "" });
  const type = choice(TYPES, memory?.type ?? "semantic");
  const importance = h("input", { type: "number", min: "0", max: "1", step: "any", required: true, value: String(memory?.importance ?? 0.5) });
  const form = h(
    "form",
    null,
    h("div", { class: "fields" }, field("Content", content, { kind: "all" }), field("Type", type, { help: MEANING, kind: "double" }), field("Importance", importance, { help: "0 to 1" })),
    h("div", { class: "row acts" }, h("button", { type: "submit", class: memory ? "main" : null }, act), cancel ? h("button", { type: "button", on: { click: cancel } }, "Cancel") : null),
  );
  if (cancel) form.addEventListener("keydown", (event) => event.key === "Escape" && cancel());
  return {
    form,
    focus: () => content.focus(),
    read: () => ({ content: content.value, type: type.value, importance: Number(importance.value) }),
  };
}
