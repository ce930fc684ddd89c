// Numbers, sizes and times as people read them.

const UNKNOWN = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const brief = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

const known = (value) => typeof value === "number" && Number.isFinite(value);

export const count = (value) => (known(value) ? whole.format(value) : UNKNOWN);

export const compact = (value) => (known(value) ? (Math.abs(value) < 10_000 ? whole.format(value) : brief.format(value)) : UNKNOWN);

/** Seconds as `0.42 ms`, `12.3 ms`, `1.24 s`. */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const ms = seconds * 1000;
  if (ms === 0) return "0 ms";
  if (ms < 0.01) return "< 0.01 ms";
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return seconds < 100 ? `${seconds.toFixed(2)} s` : `${whole.format(seconds)} s`;
}

/** A quantile out of a histogram, to two digits: `7.5 ms`; `≤ 10 ms` where few requests give a bound alone. */
export function estimate(seconds, atMost = false) {
  if (!known(seconds)) return UNKNOWN;
  const inMs = seconds < 1;
  const told = Number((inMs ? seconds * 1000 : seconds).toPrecision(2));
  return `${atMost ? "≤ " : ""}${told} ${inMs ? "ms" : "s"}`;
}

export function rate(perSecond) {
  if (!known(perSecond)) return UNKNOWN;
  if (perSecond === 0) return "0";
  if (perSecond < 0.1) return perSecond.toFixed(2);
  return perSecond < 10 ? perSecond.toFixed(1) : compact(perSecond);
}

export const percent = (part) => (known(part) ? `${(part * 100).toFixed(part > 0 && part < 0.0995 ? 1 : 0)} %` : UNKNOWN);

/** A similarity or threshold. */
export const fraction = (value) => (known(value) ? value.toFixed(3) : UNKNOWN);

export const signed = (value) => (known(value) ? `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}` : UNKNOWN);

export function size(bytes) {
  if (!known(bytes)) return UNKNOWN;
  let left = bytes;
  for (const unit of UNITS) {
    if (left < 1024 || unit === "TiB") return unit === "bytes" ? `${whole.format(left)} bytes` : `${left.toFixed(1)} ${unit}`;
    left /= 1024;
  }
  return UNKNOWN;
}

const two = (value) => String(value).padStart(2, "0");

/** A moment in the reader's own time zone, `2026-11-21 06:22:31`. */
export function moment(iso) {
  const at = new Date(iso ?? NaN);
  if (Number.isNaN(at.getTime())) return UNKNOWN;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}`;
}

export const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;

/** How long ago, such as `3 min`. */
export function since(iso, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(iso ?? NaN).getTime()) / 1000);
  if (!known(seconds)) return UNKNOWN;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** `hash_indexing_failures` as `hash indexing failures`. */
export const spaced = (name) => String(name).replaceAll("_", " ");

/** Any JSON value as one line. */
export function plain(value) {
  if (value === null || value === undefined || value === "") return UNKNOWN;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return Number.isInteger(value) ? whole.format(value) : String(Number(value.toPrecision(6)));
  if (Array.isArray(value)) return value.length ? value.map(plain).join(", ") : "none";
  if (typeof value === "object") return Object.entries(value).map(([key, held]) => `${spaced(key)} ${plain(held)}`).join(", ") || "none";
  return String(value);
}

export const several = (number, one, more) => `${count(number)} ${number === 1 ? one : more}`;
