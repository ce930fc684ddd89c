// The state of the service as it was lately: what rates and small curves are made of.

const KEPT = 90;
const RATE_MS = 10_000;

/** Answers of GET /v1/state with the time they came; counters only grow, and start again with a process. */
export class History {
  #samples = [];

  add(state, at = Date.now()) {
    const last = this.#samples.at(-1)?.state;
    if (last && last.started_at !== state.started_at) this.#samples = [];
    this.#samples.push({ at, state });
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  get latest() {
    return this.#samples.at(-1)?.state ?? null;
  }

  /** A value of each answer, oldest first. */
  series(read) {
    return this.#samples.map(({ state }) => read(state) ?? null);
  }

  /** Per second, over the last ten seconds or so; null before there are two answers. */
  rate(read) {
    const end = this.#samples.at(-1);
    const from = this.#samples.findLast((sample) => end.at - sample.at >= RATE_MS) ?? this.#samples[0];
    return end ? change(from, end, read) : null;
  }

  /** The rate between each two answers, oldest first. */
  rates(read) {
    return this.#samples.slice(1).map((sample, place) => change(this.#samples[place], sample, read));
  }

  /** How much it grew while this page looked on. */
  grown(read) {
    const [from, end] = [this.#samples[0], this.#samples.at(-1)];
    if (!from || from === end) return null;
    return Math.max(0, (read(end.state) ?? 0) - (read(from.state) ?? 0));
  }
}

function change(from, end, read) {
  const seconds = (end.at - from.at) / 1000;
  if (seconds <= 0) return null;
  return Math.max(0, (read(end.state) ?? 0) - (read(from.state) ?? 0)) / seconds;  // a worker that restarted counts anew
}
