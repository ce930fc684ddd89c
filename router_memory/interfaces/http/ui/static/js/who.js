// Whose memories are looked at: asked for in the same way wherever it matters.

import { h } from "./dom.js";
import { field } from "./parts.js";

/** Fields for a user and a project, and what stands in them. An operator has to say whom; a user's key says it itself. */
export function user(app) {
  const must = app.access === "admin";
  const plain = { autocomplete: "off", spellcheck: "false", autocapitalize: "off" };
  const name = h("input", { ...plain, required: must, value: app.who.user, placeholder: must ? "" : "the key's own" });
  const project = h("input", { ...plain, value: app.who.project, placeholder: "all" });
  return {
    fields: [
      field("User", name, { help: must ? null : "only where the key may act for several" }),
      field("Project", project),
    ],
    name,
    read() {
      app.who = { user: name.value, project: project.value };
      return app.who;
    },
  };
}
