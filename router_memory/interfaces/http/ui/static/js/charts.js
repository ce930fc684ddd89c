// Drawings. Each is hidden from screen readers, for the numbers stand beside it.

import { h, s } from "./dom.js";

const part = (value) => `${(Math.min(1, Math.max(0, value)) * 100).toFixed(2)}%`;

/** A small curve of values, oldest first; gaps where one is null. */
export function spark(values, { most = null } = {}) {
  const top = most ?? Math.max(...values.filter((value) => value !== null), 0);
  const step = 100 / Math.max(values.length - 1, 1);
  const y = (value) => (24 - (top > 0 ? Math.min(value / top, 1) * 22 : 0)).toFixed(2);
  let line = "";
  values.forEach((value, place) => {
    if (value === null) return;
    line += `${place === 0 || values[place - 1] === null ? "M" : "L"}${(place * step).toFixed(2)} ${y(value)}`;
  });
  const closed = values.length > 1 && !values.includes(null) ? `${line}L100 25L0 25Z` : "";
  return s(
    "svg",
    { class: "spark", viewBox: "0 0 100 25", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" },
    s("path", { class: "area", d: closed }),
    s("path", { d: values.length > 1 ? line : "" }),
  );
}

/** p95 with p50 before it, from 0 to `most`. */
export function latency(p50, p95, most) {
  return h(
    "div",
    { class: "track", "aria-hidden": "true" },
    h("i", { class: "p95", vars: { "--w": part(most ? p95 / most : 0) } }),
    h("i", { vars: { "--w": part(most ? p50 / most : 0) } }),
  );
}

/** One share of a whole. */
export function share(value) {
  return h("div", { class: "track thin", "aria-hidden": "true" }, h("i", { vars: { "--w": part(value) } }));
}

/** Shares of one whole beside each other: pairs of a class and a number. */
export function stack(parts) {
  const total = parts.reduce((sum, [, value]) => sum + value, 0);
  return h(
    "div",
    { class: "stack", "aria-hidden": "true" },
    parts.map(([kind, value]) => h("i", { class: kind, vars: { "--w": part(total ? value / total : 0) } })),
  );
}

/** A value that counts for (right, blue) or against (left, orange); `most` is the largest magnitude. */
export function diverging(value, most) {
  const width = part(most ? Math.abs(value) / most / 2 : 0);
  return h("div", { class: "diverge", "aria-hidden": "true" }, h("i", { class: value < 0 ? "down" : "up", vars: { "--w": width } }));
}

/** A similarity from 0 to 1, the threshold that was applied, and the configured one where it differs. */
export function scale(similarity, threshold, floor) {
  return h(
    "div",
    { class: similarity < threshold ? "scale under" : "scale", "aria-hidden": "true" },
    h("i", { vars: { "--w": part(similarity) } }),
    floor < threshold ? h("b", { class: "floor", vars: { "--x": part(floor) } }) : null,
    h("b", { vars: { "--x": part(threshold) } }),
  );
}

/**
 * Every memory of a search on the scale of similarities.
 * @param {{kind: "hit"|"below"|"dropped", at: number}[]} points
 */
export function strip(points, threshold, floor) {
  const width = Math.min(720, Math.max(280, window.innerWidth - 60));  // drawn at its size, so that its type stays legible
  const low = Math.max(0, Math.floor((Math.min(floor, threshold, ...points.map((point) => point.at)) - 0.05) * 10) / 10);
  const x = (value) => 14 + ((value - low) / (1 - low)) * (width - 28);
  const ticks = [];
  for (let at = Math.round(low * 10); at <= 10; at += 1) ticks.push(at / 10);
  const label = x(threshold) > width - 110 ? { x: x(threshold) - 6, "text-anchor": "end" } : { x: x(threshold) + 6 };
  return s(
    "svg",
    { class: "strip", viewBox: `0 0 ${width} 68`, width, height: 68, "aria-hidden": "true", focusable: "false" },
    s("line", { class: "axis", x1: x(low), x2: x(1), y1: 48, y2: 48 }),
    ticks.map((at) => [
      s("line", { class: "axis", x1: x(at), x2: x(at), y1: 48, y2: 52 }),
      s("text", { x: x(at), y: 64, "text-anchor": "middle" }, at.toFixed(1)),
    ]),
    floor < threshold ? s("line", { class: "floor", x1: x(floor), x2: x(floor), y1: 18, y2: 48 }) : null,
    s("line", { class: "cut", x1: x(threshold), x2: x(threshold), y1: 4, y2: 48 }),
    s("text", { class: "cut", y: 12, ...label }, `threshold ${threshold.toFixed(3)}`),
    points.map(({ kind, at }) =>
      kind === "dropped"
        ? s("rect", { class: kind, x: x(at) - 5, y: 29, width: 10, height: 10 })
        : s("circle", { class: kind, cx: x(at), cy: 34, r: 5.5 }),
    ),
  );
}

/** The next round number: 1, 2 or 5 times a power of ten. */
export function round(value) {
  if (!(value > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((times) => times * power).find((limit) => limit >= value * 0.9999) ?? value;
}
