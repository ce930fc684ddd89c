// Pieces that several views are made of.

import { h } from "./dom.js";
import { moment, since } from "./format.js";

let counted = 0;

/** A panel with its heading; the heading names the region. */
export function panel(title, { about = null, kind = "", focused = false, id = `panel-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}` } = {}, ...body) {
  return h(
    "section",
    { class: `panel ${kind}`.trim(), "aria-labelledby": id },
    h("header", null, h("h2", { id, tabindex: focused ? "-1" : null }, title), about ? h("p", null, about) : null),
    h("div", { class: "body" }, body),
  );
}

/**
 * A table that scrolls by itself.
 * @param {string} caption For screen readers; the heading says it to others.
 * @param {(string|{text: string, kind: string})[]} columns
 * @param {any[][]} rows Cells; the first of a row is its header. A cell is a node, a string, or {kind, of}.
 */
export function table(caption, columns, rows, { rowClass = () => null } = {}) {
  return h(
    "div",
    { class: "scroll", role: "group", "aria-label": caption, tabindex: "0" },
    h(
      "table",
      null,
      h("caption", { class: "hidden" }, caption),
      h("thead", null, h("tr", null, columns.map((column) => h("th", { scope: "col", class: column.kind ?? null }, column.of ?? column.text ?? column)))),
      h(
        "tbody",
        null,
        rows.map((row, place) =>
          h("tr", { class: rowClass(place) }, row.map((cell, index) => h(index ? "td" : "th", { scope: index ? null : "row", class: cell?.kind ?? null }, cell?.of !== undefined ? cell.of : cell))),
        ),
      ),
    ),
  );
}

export const num = (of) => ({ kind: "num", of });
export const Num = (text) => ({ kind: "num", text });
export const bar = (of) => ({ kind: "bar", of });

/** Names and values below each other; pairs, of which null ones are left out. */
export function facts(pairs, kind = "") {
  return h("dl", { class: `facts ${kind}`.trim() }, pairs.filter(Boolean).map(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
}

export const mark = (kind, text) => h("span", { class: `mark ${kind}` }, text);

export const notice = (kind, ...children) => h("p", { class: `notice ${kind}` }, children);

export const empty = (text) => h("p", { class: "empty" }, text);

/** A moment as text, with how long ago for those who hover and the exact one for machines. */
export const time = (iso) => h("time", { datetime: iso, title: `${since(iso)} ago` }, moment(iso));

/** A control with its label; `help` is tied to it. */
export function field(label, control, { help = null, kind = "" } = {}) {
  if (!control.id) control.id = `field-${(counted += 1)}`;
  const note = help ? h("small", { id: `${control.id}-help` }, help) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: `field ${kind}`.trim() }, h("label", { for: control.id }, label), control, note);
}

export function choice(options, chosen, props = {}) {
  return h("select", props, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

/** The head of a view; the heading takes the focus when the view is opened. */
export const head = (title, lead) => h("div", { class: "head" }, h("h1", { tabindex: "-1" }, title), lead ? h("p", { class: "lead" }, lead) : null);
