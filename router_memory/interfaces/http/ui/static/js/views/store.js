// Store: what the store and its indexes hold, what an examination finds, and the shared cache's server.

import { get } from "../api.js";
import { h, morph } from "../dom.js";
import { count, duration, plain, size, spaced } from "../format.js";
import { empty, facts, head, mark, notice, panel, table } from "../parts.js";
import { DETAIL } from "../words.js";

export const title = "Store";
export const needs = "admin";

const LOOK = { ok: "ok", warn: "warn", fail: "bad" };
const SIZES = /(^|_)(bytes|size)$/;

export function open(root, app) {
  const panels = h("div", { class: "panels" });
  root.append(head(title, "Totals over all users, the state of indexes and keyspace, and what an operator should know of them."), panels);
  app.watch(async (signal) => {
    const { data } = await get("state", { query: { include: "store" }, signal });
    if (!signal.aborted) morph(panels, holdings(data.store, data.findings ?? []), keyspace(data.store), findings(data.findings ?? []), server(data.cache_server), fills(data.cache));
  }, 15_000);
}

/** What a memory takes, as the examination counts it where it does: without the log and what is free in the file. */
function each(store, rows) {
  const counted = rows.find((one) => one.name === "memories")?.data?.bytes_each;
  if (counted) return `${size(counted)} with vectors and indexes, without log and free pages`;
  return store.memories && store.details?.wal_bytes === undefined ? size(store.bytes / store.memories) : null;
}

function holdings(store, rows) {
  if (!store || store.error) return panel("Holdings", { kind: "half" }, notice("bad", store?.error ?? "The store says nothing of itself."));
  const taken = each(store, rows);
  return panel(
    "Holdings",
    { kind: "half" },
    facts([
      ["backend", store.backend],
      ["location", h("code", null, store.location)],
      ["memories", count(store.memories)],
      ["users", count(store.users)],
      ["size", store.details?.wal_bytes ? `${size(store.bytes)}, of which ${size(store.details.wal_bytes)} are the write-ahead log` : size(store.bytes)],
      taken ? ["a memory", taken] : null,
      ["embedder", h("code", null, store.fingerprint)],
      ["dimension", count(store.dimension)],
    ]),
  );
}

function keyspace(store) {
  const details = Object.entries(store?.details ?? {});
  return panel("Indexes and keyspace", { kind: "half" }, details.length ? facts(details.map(([name, held]) => [DETAIL[name] ?? spaced(name), shown(name, held)]), "deep") : empty("The store tells no more."));
}

function shown(name, held) {
  if (held && typeof held === "object" && !Array.isArray(held)) return facts(Object.entries(held).map(([key, inner]) => [DETAIL[key] ?? spaced(key), shown(key, inner)]));
  return SIZES.test(name) && typeof held === "number" ? size(held) : plain(held);
}

function findings(rows) {
  return panel(
    "Examination",
    { about: "the same that router-memory doctor looks at" },
    rows.length
      ? table(
          "What an examination of store and cache found",
          ["check", "", "finding", "advice"],
          rows.map((one) => [{ kind: "nowrap", of: one.name }, mark(LOOK[one.status] ?? "", one.status), one.finding, one.advice || "–"]),
        )
      : empty("No examination is to be had."),
  );
}

function server(held) {
  if (!held) return panel("Shared cache", { kind: "half" }, empty("There is none: level 2 is not configured."));
  if (held.error) return panel("Shared cache", { kind: "half" }, notice("bad", held.error));
  return panel(
    "Shared cache",
    { kind: "half" },
    facts([
      ["location", h("code", null, held.location)],
      ["server", held.version],
      ["users", count(held.users)],
      ["answers", count(held.entries)],
      ["query vectors", count(held.vectors)],
      ["size", size(held.bytes)],
      ["whole server", `${size(held.used_bytes)} of ${held.limit_bytes ? size(held.limit_bytes) : "no limit"}, ${held.policy}`],
      ["evicted, expired", `${count(held.evicted)}, ${count(held.expired)}`],
      ["round trip", duration(held.round_trip)],
    ]),
  );
}

function fills(cache) {
  const counts = Object.entries(cache?.counts ?? {}).filter(([, held]) => held);
  return panel("Cache events", { kind: "half", about: "of all workers, since the start" }, counts.length ? facts(counts.map(([name, held]) => [spaced(name).replaceAll(".", " · "), count(held)]), "deep") : empty(cache ? "None yet." : "The hot cache is off."));
}
