// Overview: how fast memory answers, what it answers, and whether all is well.

import * as charts from "../charts.js";
import { h, morph } from "../dom.js";
import { compact, count, duration, estimate, percent, plain, rate, several, since, size } from "../format.js";
import { bar, empty, facts, head, mark, notice, num, Num, panel, table, time } from "../parts.js";
import { LEVEL, REASON, STATUS, WRITE } from "../words.js";

export const title = "Overview";
export const needs = "admin";

const total = (state) => state.requests?.total;
const stage = (state, name) => state.stages?.find((one) => one.name === name);
const hits = (state) => Object.entries(state.cache?.levels ?? {}).reduce((sum, [level, held]) => sum + (level === "miss" ? 0 : held), 0);
const looks = (state) => Object.values(state.cache?.levels ?? {}).reduce((sum, held) => sum + held, 0);
const used = (state) => (state.requests?.outcomes ?? []).reduce((sum, one) => sum + (one.status === "used" ? one.count : 0), 0);

export function open(root, app) {
  const tiles = h("dl", { class: "tiles" });
  const panels = h("div", { class: "panels" });
  root.append(head(title, "Chats and plugin requests of all workers. Rates are of the last ten seconds, latencies of the last minute."), tiles, panels);
  return {
    tick() {
      const state = app.history.latest;
      if (!state) return;
      morph(tiles, drawTiles(state, app.history));
      const { history } = app;
      morph(
        panels,
        warnings(state),
        h("div", { class: "pile wide" }, stages(state), outcomes(state, history), workers(state)),
        h("div", { class: "pile slim" }, readiness(state), cache(state, history), writes(state, history)),
      );
    },
  };
}

function drawTiles(state, history) {
  const all = stage(state, "total");
  const queue = state.writes?.queue_depth;
  return [
    tile("Requests", [rate(history.rate(total)), " / s"], `${compact(total(state))} since the start`, charts.spark(history.rates(total))),
    tile("With memories", [percent(ratio(used(state), total(state)))], "of all requests", charts.spark(history.series((one) => ratio(used(one), total(one))), { most: 1 })),
    tile("Added latency, p50", split(estimate(all?.p50, all?.at_most)), all?.count ? `p95 ${estimate(all.p95, all.at_most)}` : "no request in the last minute", charts.spark(history.series((one) => stage(one, "total")?.p50))),
    state.cache
      ? tile("Cache hits", [percent(ratio(hits(state), looks(state)))], `of ${compact(looks(state))} searches`, charts.spark(history.series((one) => ratio(hits(one), looks(one))), { most: 1 }))
      : tile("Cache hits", ["off"], "no hot cache is configured", null),
    tile("Write queue", [count(queue)], state.writes?.queue_size ? `of ${compact(state.writes.queue_size)} turns` : "turns waiting", charts.spark(history.series((one) => one.writes?.queue_depth))),
    tile("In flight", [count(state.http?.in_flight)], `${rate(history.rate((one) => one.http?.total))} HTTP / s, ${several(state.http?.errors ?? 0, "error", "errors")}`, charts.spark(history.series((one) => one.http?.in_flight))),
  ];
}

function tile(name, [value, unit = ""], sub, curve) {
  return h("div", { class: "tile" }, h("dt", null, name), h("dd", { class: "big" }, value, unit ? h("span", { class: "unit" }, unit) : null), h("dd", { class: "sub" }, sub), h("dd", null, curve));
}

const split = (text) => text.split(/(?= (?:ms|s)$)/);
const ratio = (part, whole) => (whole > 0 ? part / whole : null);

function warnings(state) {
  const told = state.generation?.warnings ?? [];
  return h("div", { hidden: told.length === 0 }, told.map((warning) => notice("warn", warning)));
}

/** The order a request goes through them, so that rows stay where they are. */
const ORDER = ["total", "cache", "statistics", "embed", "candidates", "rank", "select", "reflect", "inject"];
const place = (one) => (ORDER.includes(one.name) ? ORDER.indexOf(one.name) : ORDER.length);

function stages(state) {
  const rows = [...(state.stages ?? [])].sort((one, other) => place(one) - place(other));
  const most = charts.round(Math.max(...rows.map((one) => one.p95), 0));
  const header = { kind: "bar", of: h("span", { class: "legend" }, h("span", { class: "key c-p50" }, "p50"), h("span", { class: "key c-p95" }, "p95"), h("span", null, `0 to ${duration(most)}`)) };
  return panel(
    "Latency by stage",
    { about: rows.some((one) => one.at_most) ? "of the last minute; ≤ where requests were few" : "of the last minute" },
    rows.length
      ? table(
          "Latency of each stage of a request",
          ["stage", header, Num("p50"), Num("p95"), Num("p99"), Num("count"), Num("since the start")],
          rows.map((one) => [one.name, bar(charts.latency(one.p50, one.p95, most)), ...[one.p50, one.p95, one.p99].map((value) => num(estimate(value, one.at_most))), num(compact(one.count)), num(compact(one.since_start))]),
        )
      : empty("No request has been timed yet."),
  );
}

function readiness(state) {
  const checks = state.readiness?.checks ?? [];
  return panel(
    "Readiness",
    {},
    facts([
      ...checks.map((check) => [check.name, [mark(check.ok ? "ok" : "bad", check.ok ? "ok" : "failing"), check.detail ? h("span", { class: "muted" }, ` ${check.detail}`) : null]]),
      ["generation", [`${state.generation?.number ?? "–"}, loaded `, time(state.generation?.loaded_at)]],
      ["sign-in", (state.auth?.modes ?? []).join(", ") || null],
      state.upstream !== undefined ? ["upstream", state.upstream || "none: no chats are forwarded"] : null,
    ]),
  );
}

function outcomes(state, history) {
  const rows = [...(state.requests?.outcomes ?? [])].sort((one, other) => other.count - one.count);
  const all = total(state) || 0;
  const of = (wanted) => (one) => one.requests?.outcomes?.find((row) => same(row, wanted))?.count;
  return panel(
    "What became of requests",
    {},
    rows.length
      ? table(
          "Requests by outcome",
          ["status", { kind: "wide", text: "reason" }, "interface", Num("count"), Num("per s"), Num("share"), { kind: "bar short", text: "" }],
          rows.map((one) => [
            h("span", { title: STATUS[one.status] ?? null }, one.status),
            reason(one.reason),
            one.interface ?? "–",
            num(count(one.count)),
            num(rate(history.rate(of(one)))),
            num(percent(ratio(one.count, all))),
            { kind: "bar short", of: charts.share(ratio(one.count, all) ?? 0) },
          ]),
        )
      : empty("No request has come yet."),
  );
}

/** In words, with its name as metrics have it. */
function reason(name) {
  const words = REASON[name];
  return !words || words === name ? name : [words, " ", h("code", { class: "muted" }, name)];
}

const same = (one, other) => one.status === other.status && one.reason === other.reason && one.interface === other.interface;

function cache(state, history) {
  const held = state.cache;
  if (!held) return panel("Cache", {}, empty("The hot cache is off: every search embeds its query and asks the store."));
  const levels = ["level 1", "level 2", "joined", "miss"].filter((level) => held.levels?.[level] !== undefined);
  const kind = (level) => `c-${level.replace(" ", "-")}`;
  const timed = Object.fromEntries((held.latencies ?? []).map((one) => [one.name, one]));
  return panel(
    "Cache by level",
    {},
    charts.stack(levels.map((level) => [kind(level), held.levels[level]])),
    table(
      "Searches by the level of the cache that answered",
      ["answered by", Num("share"), Num("per s"), Num("p50")],
      levels.map((level) => [
        h("span", { class: `key ${kind(level)}`, title: LEVEL[level] }, level),
        num(percent(ratio(held.levels[level], looks(state)))),
        num(rate(history.rate((one) => one.cache?.levels?.[level]))),
        num(estimate(timed[level]?.count ? timed[level].p50 : null)),
      ]),
    ),
    h("p", { class: "note" }, `${held.coherence} coherence · ${several(held.entries, "answer", "answers")} and ${several(held.vectors, "query vector", "query vectors")} in ${size(held.bytes)}${held.breaker ? ` · breaker ${held.breaker}` : ""}`),
  );
}

function writes(state, history) {
  const all = Object.entries(state.writes?.results ?? {});
  const results = all.filter(([, held]) => held);
  const none = all.filter(([, held]) => !held).map(([name]) => name);
  return panel(
    "Writes",
    { about: "messages of chats" },
    results.length
      ? table(
          "Messages by what became of them",
          ["result", Num("count"), Num("per s")],
          results.map(([name, held]) => [[name, " ", h("span", { class: "note" }, WRITE[name] ?? "")], num(count(held)), num(rate(history.rate((one) => one.writes?.results?.[name])))]),
        )
      : empty("Nothing has been written yet."),
    results.length && none.length ? h("p", { class: "note" }, `None ${none.join(", ")}.`) : null,
  );
}

const ago = (iso) => h("time", { datetime: iso, title: iso }, since(iso));

function workers(state) {
  const rows = state.workers ?? [];
  return panel(
    "Workers",
    {},
    table(
      "Worker processes",
      ["worker", Num("pid"), "state", Num("generation"), Num("in flight"), Num("queue"), Num("restarts"), Num("up for")],
      rows.map((one, index) => [
        plain(one.index ?? index),
        num(String(one.pid ?? "–")),
        one.draining ? mark("warn", "draining") : one.ready === false ? mark("bad", "not ready") : mark("ok", "ready"),
        num(count(one.generation)),
        num(count(one.in_flight)),
        num(count(one.queue_depth)),
        num(count(one.restarts)),
        num(ago(one.started_at)),
      ]),
    ),
  );
}
