// Asks again and again, and less often where nobody looks or nobody answers.

const SLOWEST_MS = 60_000;

/**
 * @param {(signal: AbortSignal) => Promise<void>} work One round; a rejection is a failure.
 * @param {{every: () => number, failed?: (error: Error, next: number) => void}} options `every` gives milliseconds.
 */
export function poller(work, { every, failed = () => {} }) {
  let timer = null;
  let running = null;
  let failures = 0;
  let stopped = true;

  const plan = (wait) => {
    clearTimeout(timer);
    timer = stopped || document.hidden ? null : setTimeout(() => round(), wait);
  };

  async function round(asked = false) {
    if (running || (stopped && !asked)) return;
    running = new AbortController();
    const mine = running;
    try {
      await work(mine.signal);
      failures = 0;
      if (running === mine) plan(every());
    } catch (error) {
      if (mine.signal.aborted) return;
      failures += 1;
      const wait = Math.min(every() * 2 ** failures, SLOWEST_MS);
      plan(wait);
      failed(error, wait);
    } finally {
      if (running === mine) running = null;
    }
  }

  function looked() {
    if (document.hidden) clearTimeout(timer);
    else if (!stopped) round();
  }

  return {
    start() {
      stopped = false;
      document.addEventListener("visibilitychange", looked);
      round();
    },
    stop() {
      stopped = true;
      document.removeEventListener("visibilitychange", looked);
      clearTimeout(timer);
      running?.abort();
      running = null;
    },
    /** Now, and not again where it is stopped: a person asked. */
    now() {
      clearTimeout(timer);
      round(true);
    },
  };
}
