// Memories: one user's, page by page; added, changed and forgotten in place.

import { ask, get } from "../api.js";
import { confirm } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { several } from "../format.js";
import { editor, item } from "../memory.js";
import { empty, head, notice, panel } from "../parts.js";
import { user } from "../who.js";
import { TYPE } from "../words.js";

export const title = "Memories";
export const needs = "user";

const PAGE = 20;

export function open(root, app) {
  const view = { app, who: user(app), types: boxes(), list: h("div", { "aria-busy": "false" }), said: h("div"), cursors: [null], page: null };
  const show = h("button", { type: "submit", class: "main" }, "Show");
  const form = h(
    "form",
    null,
    h("div", { class: "fields" }, view.who.fields, h("fieldset", null, h("legend", null, "Types, none for all"), h("div", { class: "row" }, view.types.map((box) => h("label", null, box, ` ${box.value}`)))), show),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    fill(view.said);
    first(view);
  });
  for (const box of view.types) box.addEventListener("change", () => view.page && first(view));
  root.append(head(title, "What is stored of one user. Changes take effect at once, in every worker."), panel("Whose", { id: "panel-whose" }, form), view.said, view.list);
  if (app.who.user || app.access !== "admin") first(view);
}

const boxes = () => Object.keys(TYPE).map((name) => h("input", { type: "checkbox", value: name }));

const chosen = (view) => view.types.filter((box) => box.checked).map((box) => box.value);

function first(view) {
  view.cursors = [null];
  return load(view);
}

/** Lists the page of the last cursor. */
async function load(view, { say = true } = {}) {
  const who = view.who.read();
  if (!who.user && view.app.access === "admin") return;
  view.list.setAttribute("aria-busy", "true");
  try {
    const query = { type: chosen(view).join(","), limit: PAGE, cursor: view.cursors.at(-1) };
    const { data } = await get("memory", { query, who });
    view.page = data;
    if (!view.list.isConnected) return;
    fill(view.list, listed(view, data));
    if (say) view.app.say(`${several(data.total, "memory", "memories")}, page ${view.cursors.length}.`);
  } catch (error) {
    fill(view.list);
    tell(view, "bad", error.message);
  } finally {
    view.list.setAttribute("aria-busy", "false");
  }
}

function tell(view, kind, text) {
  fill(view.said, notice(kind, text));
  view.app.say(text);
}

function listed(view, page) {
  const from = (view.cursors.length - 1) * PAGE;
  const pages = [
    h("button", { type: "button", disabled: view.cursors.length === 1, on: { click: () => turn(view, () => view.cursors.pop()) } }, "Newer"),
    h("span", { class: "note" }, page.memories.length ? `${from + 1} to ${from + page.memories.length} of ${several(page.total, "memory", "memories")}` : ""),
    h("button", { type: "button", disabled: !page.cursor, on: { click: () => turn(view, () => view.cursors.push(page.cursor)) } }, "Older"),
  ];
  return [
    panel(
      "Stored",
      { about: `${several(page.total, "memory", "memories")}, newest first`, id: "panel-stored" },
      h("details", { class: "add" }, h("summary", null, "Add a memory"), adding(view)),
      page.memories.length ? h("ul", null, page.memories.map((memory) => row(view, memory))) : empty("This user has no such memories."),
      h("div", { class: "bar-row" }, h("div", { class: "row", role: "group", "aria-label": "Pages" }, pages), page.total ? h("button", { type: "button", class: "danger", on: { click: () => forgetAll(view, page.total) } }, "Forget all…") : null),
    ),
  ];
}

async function turn(view, step) {
  step();
  await load(view);
  document.getElementById("panel-stored")?.scrollIntoView({ block: "nearest" });
}

function adding(view) {
  const made = editor({ act: "Add" });
  made.form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await change(view, async () => {
      await ask("POST", "memory", { body: made.read(), who: view.who.read() });
      await first(view);
      tell(view, "ok", "Added.");
      view.list.querySelector(".add > summary")?.focus();
    });
  });
  return made.form;
}

function row(view, memory) {
  const li = h("li", { class: "memory" });
  const shown = () => {
    li.className = "memory shown";
    fill(li, item(memory, { edit, forget }));
  };
  async function edit() {
    await change(view, async () => {
      const who = view.who.read();
      const { data, etag } = await get(`memory/${encodeURIComponent(memory.id)}`, { who });
      const made = editor({ act: "Save", memory: data, cancel: back });
      made.form.addEventListener("submit", (event) => {
        event.preventDefault();
        save(view, memory.id, made, etag, li);
      });
      li.className = "memory";
      fill(li, made.form);
      made.focus();
    });
  }
  function back() {
    shown();
    li.querySelector("button")?.focus();
  }
  const forget = () => forgetOne(view, memory, li);
  shown();
  return li;
}

/** Saves with the ETag that was read: what somebody else changed meanwhile is not overwritten. */
async function save(view, id, made, etag, li) {
  await change(view, async () => {
    try {
      const { data } = await ask("PATCH", `memory/${encodeURIComponent(id)}`, { body: made.read(), who: view.who.read(), etag });
      const fresh = row(view, data);
      li.replaceWith(fresh);
      fresh.querySelector("button")?.focus();
      tell(view, "ok", "Saved.");
    } catch (error) {
      if (error.status !== 412) throw error;
      tell(view, "warn", "It was changed by somebody else while you edited it, so it was not saved. Copy what you need, cancel, and edit it anew.");
    }
  });
}

async function forgetOne(view, memory, li) {
  const short = memory.content.length > 240 ? `${memory.content.slice(0, 240)}…` : memory.content;
  const sure = await confirm({
    title: "Forget this memory?",
    body: [h("p", { class: "content" }, short), h("p", { class: "note" }, "It is deleted for good. There is no undo.")],
    act: "Forget",
  });
  if (!sure) return;
  await change(view, async () => {
    const next = li.nextElementSibling ?? li.previousElementSibling;
    const place = next ? [...li.parentElement.children].indexOf(li) : -1;
    await ask("DELETE", `memory/${encodeURIComponent(memory.id)}`, { who: view.who.read() });
    if (view.page.memories.length === 1 && view.cursors.length > 1) view.cursors.pop();
    await load(view, { say: false });
    tell(view, "ok", "Forgotten.");
    const rows = view.list.querySelectorAll(".memory");
    (rows[Math.min(place, rows.length - 1)] ?? view.list).querySelector("button")?.focus();
  });
}

async function forgetAll(view, total) {
  const who = view.who.read();
  const types = chosen(view);
  const whose = who.user || "me";
  const what = types.length ? `all ${types.join(" and ")} memories` : "all memories";
  const sure = await confirm({
    title: `Forget ${what}?`,
    body: h("p", null, `${several(total, "memory", "memories")}${who.project ? ` of the project ${who.project}` : ""} will be deleted for good. There is no undo; an export before is a backup.`),
    act: `Forget ${several(total, "memory", "memories")}`,
    type: whose,
  });
  if (!sure) return;
  await change(view, async () => {
    const { data } = await ask("DELETE", "memory", { query: { type: types.join(",") }, who });
    await first(view);
    tell(view, "ok", `${several(data?.deleted ?? 0, "memory", "memories")} forgotten.`);
    view.who.name.focus();
  });
}

/** Does something and tells what went wrong with it. */
async function change(view, work) {
  try {
    await work();
  } catch (error) {
    tell(view, "bad", error.message);
  }
}
