// What statuses, reasons and errors mean, in words.

export const STATUS = {
  used: "memories were injected",
  missing: "nothing fitted",
  disabled: "memory is switched off here",
  policy_blocked: "blocked by a policy",
  ignored: "the request asked for none, or could not",
  unavailable: "memory could not help in time",
};

export const REASON = {
  injected: "injected",
  no_results: "nothing reached the threshold",
  filtered: "filters dropped all that did",
  empty_context: "no text to inject",
  user_id_missing: "no user named",
  user_id_invalid: "the user id is not valid",
  project_invalid: "the project is not valid",
  conversation_id_invalid: "the conversation id is not valid",
  messages_malformed: "messages nobody can read",
  headers_malformed: "headers nobody can read",
  query_ineligible: "a greeting, or no text",
  passthrough: "no decision: a concrete model was named",
  decision_config: "switched off by the decision",
  global_config: "switched off by the globals",
  request_opt_out: "the request opted out",
  route_config: "the route is disabled",
  model_config: "the model is disabled",
  store_unavailable: "the store did not answer",
  retrieval_error: "the search failed",
  injection_error: "injecting failed",
  timeout: "the deadline passed",
  overloaded: "the queue alone would pass the deadline",
  closed: "shutting down",
};

export const WRITE = {
  stored: "",
  merged: "there already",
  skipped: "not worth storing, or not to be",
  rejected: "the queue was full or closed",
  failed: "refused by store or embedder",
  unknown: "the store did not answer; may be stored",
};

export const LEVEL = {
  "level 1": "level 1, in the process",
  "level 2": "level 2, on the server",
  joined: "an equal question, asked at the same moment",
  miss: "nothing: it was embedded and searched",
};

export const TYPE = { semantic: "a fact", procedural: "how something is done", episodic: "something that happened" };

/** What stores tell of themselves. */
export const DETAIL = {
  check: "SQLite's check",
  sqlite: "SQLite",
  page_bytes: "size of a page",
  free_pages: "free pages",
  wal_bytes: "write-ahead log",
  hnsw_users: "users with a graph (HNSW)",
  hnsw_open: "graphs in use",
  hnsw_bytes: "graphs on disk",
  snapshot_bytes: "snapshots in the process",
  index_ready: "index is ready",
  indexed: "memories in the index",
  index_failures: "memories the index refused",
  promoted_users: "users with an index of their own",
};

const NO_KEY = "You are not signed in: no key was given. Sign in with one, or come through a gateway that names the user.";
const REFUSED = "The key was not accepted: it may be wrong, expired, or of another service.";
const NOBODY = "The key was not accepted as a user's. If it stands for several users, name one of them under User.";

const OF_STATUS = {
  403: "The key is good but not an operator's. It opens Playground and Memories of its own user only.",
  404: "There is no such thing here; it may have been forgotten meanwhile.",
  409: "It was changed by somebody else meanwhile.",
  412: "It was changed by somebody else meanwhile.",
  413: "That is too long for this service.",
  429: "Too many requests for the moment; the limits of the service say how many.",
  500: "Something went wrong in the service; its log says what.",
  502: "A gateway before the service got no good answer from it.",
  503: "The service is up, and its memory cannot be used right now: the store is away, or it is starting or shutting down.",
  504: "The store did not answer in time. Whether a write took effect is unknown; repeating it is safe.",
};

/**
 * What an HTTP status means for the person at the page; 0 where there was no answer at all.
 * @param {{code?: string, keyed?: boolean}} more The answer's code, and whether a key went with the request.
 */
export function problem(status, message, { code = "", keyed = true } = {}) {
  if (status === 0) return "The service does not answer. It may be restarting, or the network is down.";
  if (status === 401 && code === "MISSING_USER_ID") return keyed ? NOBODY : NO_KEY;
  const unauthorized = keyed ? REFUSED : NO_KEY;
  const words = status === 401 ? unauthorized : (OF_STATUS[status] ?? `The service answered with status ${status}.`);
  return message ? `${words} It says: ${message}.` : words;
}
