// Requests to the service the page came from, and to nobody else.

import { credential } from "./session.js";
import { problem } from "./words.js";

const ROOT = new URL("../v1/", document.baseURI);
const PATIENCE_MS = 20_000;

/** Names of the headers that name a user and a project; the service says which. */
export const names = { user: "x-authz-user-id", project: "x-project-id" };

/** An answer that is an error, or no answer: status 0. */
export class Problem extends Error {
  constructor(status, code, message, keyed = true) {
    super(problem(status, message, { code, keyed }));
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.told = message;
  }
}

/**
 * One request.
 * @param {string} method
 * @param {string} path Below /v1/.
 * @param {{query?: Object, body?: any, who?: {user?: string, project?: string}, etag?: string, key?: string|null, signal?: AbortSignal}} options
 * @returns {Promise<{data: any, etag: string|null}>}
 * @throws {Problem}
 */
export async function ask(method, path, { query, body, who, etag, key = credential(), signal } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const headers = new Headers({ accept: "application/json" });
  if (key) headers.set("authorization", `Bearer ${key}`);
  if (who?.user) headers.set(names.user, bytes(who.user));
  if (who?.project) headers.set(names.project, bytes(who.project));
  if (etag) headers.set("if-match", etag);
  if (body !== undefined) headers.set("content-type", "application/json");
  const limit = AbortSignal.timeout(PATIENCE_MS);
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "NO_ANSWER", "");
  }
  return answered(response, Boolean(key));
}

async function answered(response, keyed) {
  const text = await response.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    if (response.ok) throw new Problem(response.status, "NOT_JSON", "an answer that is not JSON");
  }
  if (!response.ok) throw new Problem(response.status, data?.error?.code ?? "", data?.error?.message ?? "", keyed);
  return { data, etag: response.headers.get("etag") };
}

/** A header's value is bytes: text goes as UTF-8, which is what the service reads. */
function bytes(text) {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

export const get = (path, options) => ask("GET", path, options);
