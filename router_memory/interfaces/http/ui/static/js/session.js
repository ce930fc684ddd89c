// Who is signed in: a key that lives in this tab's session storage and nowhere else.

const KEY = "router-memory.key";
let held = null;

try {
  held = sessionStorage.getItem(KEY);
} catch {
  // no storage: the key lasts as long as the page
}

/** The key, or null. */
export const credential = () => held;

/** Keeps a key until the tab is closed; null forgets it. */
export function keep(key) {
  held = key;
  try {
    if (key === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, key);
  } catch {
    // as above
  }
}
