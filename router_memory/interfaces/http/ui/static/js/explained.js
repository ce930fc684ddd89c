// A search explained: where the threshold fell, what moved each memory's score, what was left out and why.

import * as charts from "./charts.js";
import { h } from "./dom.js";
import { count, duration, fraction, moment, percent, several, signed } from "./format.js";
import { empty, facts, notice, panel } from "./parts.js";
import { LEVEL } from "./words.js";

const SILENT = 0.0005;

/** What the search gave, from `explain` of the memory API. */
export function draw(found, answer) {
  if (!found) return notice("warn", "The service explains nothing of this search.");
  const { hits = [], below = [], dropped = [], cut } = found;
  const misses = new Map((found.misses ?? []).map((miss) => [miss.id, miss]));
  const all = [...hits, ...below, ...dropped.map((one) => one.hit)];
  const most = { signals: largest(all, "signals"), support: largest(all, "support") };
  return [
    summary(found, answer, all),
    panel(
      "Returned",
      { about: several(hits.length, "memory", "memories"), id: "panel-returned" },
      hits.length ? hits.map((hit) => card(hit, cut, most, `${fraction(hit.similarity - cut.threshold)} above the threshold`)) : empty("Nothing reached the threshold; the nearest stand below."),
    ),
    below.length ? panel("Next best, not returned", { about: "the nearest candidates below the cut", id: "panel-below" }, below.map((hit) => card(hit, cut, most, misses.get(hit.record.id)?.why ?? ""))) : null,
    dropped.length ? panel("Left out by filters", { about: "reached the threshold", id: "panel-dropped" }, dropped.map((one) => card(one.hit, cut, most, one.why))) : null,
  ];
}

function summary(found, answer, all) {
  const { cut } = found;
  const stages = Object.entries(found.seconds ?? {});
  const points = [
    ...found.below.map((hit) => ({ kind: "below", at: hit.similarity })),
    ...found.dropped.map((one) => ({ kind: "dropped", at: one.hit.similarity })),
    ...found.hits.map((hit) => ({ kind: "hit", at: hit.similarity })),
  ];
  const level = LEVEL[found.cache] ?? found.cache ?? answer.cache;
  return panel(
    "The search",
    { id: "panel-summary", about: `${several(found.hits.length, "memory", "memories")} of ${several(found.candidates, "candidate", "candidates")}` },
    all.length ? charts.strip(points, cut.threshold, cut.floor) : null,
    all.length ? h("p", { class: "legend" }, h("span", { class: "key c-for" }, "returned"), h("span", null, "○ below the cut"), found.dropped.length ? h("span", { class: "key c-against" }, "left out by a filter") : null, cut.floor < cut.threshold ? h("span", null, "┆ configured threshold") : null) : null,
    facts([
      ["threshold", `${fraction(cut.threshold)}${cut.floor < cut.threshold ? `, raised from the configured ${fraction(cut.floor)}` : ", as configured"} (${cut.rule})`],
      ["why", cut.why],
      ["searched for", found.query_text],
      found.names?.length ? ["names taken out", found.names.join(", ")] : null,
      found.clipped ? ["clipped", "the query was too long: its two ends were searched for"] : null,
      level && level !== "off" ? ["cache", level] : null,
      stages.length ? ["time", stages.map(([name, seconds]) => `${name} ${duration(seconds)}`).join(" · ")] : null,
      found.exact === false ? ["search", "approximate"] : null,
      found.partial ? ["partial", "the store could not look at everything in time"] : null,
    ]),
  );
}

function card(hit, cut, most, verdict) {
  const { record } = hit;
  const project = record.scope?.project ?? record.project;
  const support = Object.keys(hit.support ?? {}).length > 0;
  return h(
    "article",
    { class: "hit" },
    h("p", { class: "content" }, record.content),
    h(
      "p",
      { class: "meta" },
      h("span", { class: "tag" }, record.type),
      h("span", null, `rank ${count(hit.rank)}`),
      record.speaker ? h("span", null, record.speaker) : null,
      project ? h("span", null, `project ${project}`) : null,
      h("span", null, moment(record.created_at)),
      h("span", { class: "id" }, record.id),
    ),
    h(
      "div",
      { class: "sums" },
      h(
        "div",
        { class: "sim" },
        h("p", { class: "caption" }, "Similarity against the threshold"),
        h("strong", null, fraction(hit.similarity)),
        charts.scale(hit.similarity, cut.threshold, cut.floor),
        h("p", { class: hit.similarity < cut.threshold ? "verdict" : "verdict over" }, verdict),
        h("p", { class: "verdict" }, `cosine ${fraction(hit.cosine)} · BM25 ${hit.lexical.toFixed(2)}`),
      ),
      sum(`Score ${signed(hit.score)}: what moved its place`, hit.signals, most.signals, hit.shares),
      support ? sum(`Support ${signed(total(hit.support))}: what makes it similar`, hit.support, most.support, null) : h("p", { class: "note" }, "In this order the similarity is (1 + cosine) / 2."),
    ),
  );
}

/** The parts of a sum, largest first, as bars to the right and to the left of nothing. */
function sum(caption, parts, most, shares) {
  const ordered = Object.entries(parts ?? {}).sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
  const told = ordered.filter(([, value]) => Math.abs(value) >= SILENT);
  const silent = ordered.filter(([, value]) => Math.abs(value) < SILENT).map(([name]) => name.replaceAll("_", " "));
  return h(
    "div",
    null,
    h(
      "table",
      { class: "sum" },
      h("caption", null, caption),
      h("thead", { class: "hidden" }, h("tr", null, ["part", "bar", "value", shares ? "share" : null].filter(Boolean).map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        null,
        told.map(([name, value]) =>
          h(
            "tr",
            null,
            h("th", { scope: "row" }, name.replaceAll("_", " ")),
            h("td", { class: "bar" }, charts.diverging(value, most)),
            h("td", { class: "num" }, signed(value)),
            shares ? h("td", { class: "num share" }, percent(Math.abs(shares[name]))) : null,
          ),
        ),
      ),
    ),
    silent.length ? h("p", { class: "note" }, `Nothing from ${silent.join(", ")}.`) : null,
  );
}

const total = (parts) => Object.values(parts).reduce((all, value) => all + value, 0);

const largest = (hits, kind) => Math.max(0, ...hits.flatMap((hit) => Object.values(hit[kind] ?? {}).map(Math.abs)));
