// The frame: which view is open, who is signed in, and the state of the service that all views share.

import { get, names } from "./api.js";
import { signIn } from "./dialogs.js";
import { fill, h, morph } from "./dom.js";
import { several } from "./format.js";
import { History } from "./live.js";
import { mark, notice } from "./parts.js";
import { poller } from "./poll.js";
import { credential, keep } from "./session.js";
import * as decisions from "./views/decisions.js";
import * as events from "./views/events.js";
import * as memories from "./views/memories.js";
import * as overview from "./views/overview.js";
import * as playground from "./views/playground.js";
import * as store from "./views/store.js";

const VIEWS = { overview, decisions, playground, memories, store, events };
const FAST_MS = 2_000;
const SLOW_MS = 10_000;

const element = (id) => document.getElementById(id);

/** What a view may know of the rest. `access` is admin, user or unknown; `who` is the user looked at. */
const app = {
  access: "unknown",
  history: new History(),
  who: { user: "", project: "" },
  say,
  watch,
  trouble,
};

const WHY = [
  "Operators see all of this page with the admin key. A user's API key or token opens Playground and Memories; behind a gateway that says who you are, go on without. ",
  "If the service was started without an admin key and without other keys of operators, none opens it: set ",
  h("code", null, "service.auth.admin_key"),
  " in its configuration, or with the compose file ",
  h("code", null, "ROUTER_MEMORY_ADMIN_KEY"),
  ", and start it again.",
];

let open = { name: "", close: null, tick: null };
let watched = [];
let paused = false;
let ready = null;
let asking = false;

const pulse = poller(beat, { every: () => (open.name === "overview" ? FAST_MS : SLOW_MS), failed: beatFailed });

// -- the state of the service

async function beat(signal) {
  const { data } = await get("state", { signal });
  if (signal.aborted) return;
  names.user = data.user_header ?? names.user;
  names.project = data.project_header ?? names.project;
  app.history.add(data);
  enter("admin");
  fill(element("trouble"));
  health(data);
  open.tick?.();
}

function beatFailed(error, wait) {
  if (error.status === 401) {
    pulse.stop();
    askForKey();
  } else if (error.status === 403) {
    pulse.stop();
    enter("user");
    fill(element("trouble"));
    health(null);
  } else {
    fill(element("health"), mark(error.status === 503 ? "warn" : "bad", error.status === 503 ? "not available" : "no answer"));
    trouble(error, wait);
  }
}

function health(state) {
  if (!state) return fill(element("health"));
  const checks = state.readiness?.checks ?? [];
  const failing = checks.filter((check) => check.ok === false).map((check) => check.name);
  const now = state.draining ? ["warn", "draining"] : state.readiness?.ready ? ["ok", "ready"] : ["bad", `not ready: ${failing.join(", ") || "starting"}`];
  if (ready !== null && ready !== now[1]) say(`The service is ${now[1]}.`);
  ready = now[1];
  return morph(
    element("health"),
    mark(...now),
    h("span", null, several(state.workers?.length ?? 0, "worker", "workers")),
    h("span", null, `generation ${state.generation?.number ?? "–"}`),
    state.versions ? h("span", null, `version ${state.versions.router_memory}`) : null,
  );
}

/** A failure in words, above the view, and when it is tried again. */
function trouble(error, wait = null) {
  const again = wait === null || paused ? null : `Next try in ${Math.round(wait / 1000)} s.`;
  const now = h("button", { type: "button", on: { click: retry } }, "Try now");
  fill(element("trouble"), notice(error.status === 503 ? "warn" : "bad", error.message, " ", again, now));
  if (ready !== error.status) say(error.message);
  ready = error.status ?? "failed";
}

function retry() {
  fill(element("trouble"));
  if (app.access !== "user") pulse.now();
  for (const one of watched) one.now();
}

// -- who is signed in

function enter(access) {
  if (app.access === access) return;
  const first = app.access === "unknown";
  app.access = access;
  account();
  menu();
  if (access === "user" && VIEWS[open.name].needs === "admin") location.hash = "#/playground";
  else if (first || open.name) show(false);
}

/** The switch of the updates; there are none before an operator is signed in, and a user's views have none. */
function lively() {
  element("live").hidden = asking || app.access !== "admin";
}

function account() {
  lively();
  const signed = credential() !== null;
  const how = app.access === "admin" ? (signed ? "operator" : "development mode: everybody is an operator") : signed ? "signed in as a user" : "not signed in";
  element("who").textContent = app.access === "unknown" ? "" : how;
  element("sign").hidden = app.access === "unknown" || (app.access === "admin" && !signed);
  element("sign").textContent = signed ? "Sign out" : "Sign in";
}

async function askForKey() {
  if (asking) return;
  asking = true;
  lively();
  const why = credential() ? "The key of this tab is no longer accepted." : WHY;
  const answer = await signIn(why, wrong);
  asking = false;
  if (answer?.key) {
    keep(answer.key);
    fresh();
  } else {
    keep(null);
    enter("user");
  }
  account();
}

/** What is wrong with a key, or null. A user's key is refused by the operators' route with 403, and good. */
async function wrong(key) {
  if (!key || /[^\x21-\x7e]/.test(key)) return "A key has letters, digits and signs only, without blanks.";
  try {
    await get("state", { key });
  } catch (error) {
    return error.status === 403 ? null : error.message;
  }
  return null;
}

function fresh() {
  app.access = "unknown";
  app.history = new History();
  ready = null;
  lively();
  if (paused) pulse.now();
  else pulse.start();
}

function signInOrOut() {
  if (credential() === null) return askForKey();
  keep(null);
  app.who = { user: "", project: "" };
  close();
  fill(element("view"));
  fill(element("health"));
  say("Signed out.");
  return fresh();
}

// -- views

function menu() {
  fill(
    element("views"),
    Object.entries(VIEWS)
      .filter(([, view]) => app.access !== "user" || view.needs !== "admin")
      .map(([name, view]) => h("li", null, h("a", { href: `#/${name}`, "aria-current": name === open.name ? "page" : null }, view.title))),
  );
}

function show(moved = true) {
  const [, wanted = "", argument = ""] = location.hash.split("/");
  const name = Object.hasOwn(VIEWS, wanted) ? wanted : "overview";
  close();
  open = { name, close: null, tick: null };
  menu();
  document.title = `${VIEWS[name].title} · router-memory`;
  const root = element("view");
  fill(root);
  if (app.access === "unknown") return;
  Object.assign(open, VIEWS[name].open(root, app, decoded(argument)) ?? {});
  open.tick?.();
  if (moved) root.querySelector("h1")?.focus();
}

/** A part of the address; one that somebody mistyped stands for nothing. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

function close() {
  open.close?.();
  for (const one of watched) one.stop();
  watched = [];
}

/** Asks again every so many milliseconds while the view is open and nobody has paused. */
function watch(work, every) {
  const one = poller(
    async (signal) => {
      await work(signal);
      if (app.access === "user") fill(element("trouble"));
    },
    { every: () => every, failed: (error, wait) => (error.status === 401 ? askForKey() : trouble(error, wait)) },
  );
  watched.push(one);
  if (paused) one.now();
  else one.start();
  return one;
}

function say(text) {
  element("said").textContent = text;
}

function pauseOrGoOn() {
  paused = !paused;
  element("live").setAttribute("aria-pressed", String(!paused));
  element("live").textContent = paused ? "Paused" : "Live";
  for (const one of app.access === "user" ? watched : [pulse, ...watched]) paused ? one.stop() : one.start();
}

function theme() {
  const chosen = element("theme");
  chosen.value = document.documentElement.dataset.theme ?? "";
  chosen.addEventListener("change", () => {
    if (chosen.value) document.documentElement.dataset.theme = chosen.value;
    else delete document.documentElement.dataset.theme;
    try {
      localStorage.setItem("router-memory.theme", chosen.value);
    } catch {
      // no storage: until the page is left
    }
  });
}

element("skip").addEventListener("click", (event) => {
  event.preventDefault();  // the hash belongs to the views
  element("main").focus();
});
element("live").addEventListener("click", pauseOrGoOn);
element("sign").addEventListener("click", signInOrOut);
window.addEventListener("hashchange", () => show());
theme();
show(false);
pulse.start();
