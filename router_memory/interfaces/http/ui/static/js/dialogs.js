// Dialogs: the browser's own, which keep the focus inside and give it back.

import { h } from "./dom.js";
import { field, notice } from "./parts.js";

let counted = 0;

function opened(title, build) {
  const id = `dialog-${(counted += 1)}`;
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": id });
    let answer = null;
    const end = (value) => {
      answer = value;
      dialog.close();
    };
    dialog.append(h("h2", { id }, title), build(end));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Asks before something is lost.
 * @param {{title: string, body: any, act: string, type?: string}} question `type` is what has to be typed first.
 * @returns {Promise<boolean>}
 */
export async function confirm({ title, body, act, type = null }) {
  const answer = await opened(title, (end) => {
    const go = h("button", { type: "submit", class: "main danger", disabled: type !== null }, act);
    const typed = h("input", { autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
    typed.addEventListener("input", () => {
      go.disabled = typed.value !== type;
    });
    return h(
      "form",
      {
        on: {
          submit: (event) => {
            event.preventDefault();
            if (type === null || typed.value === type) end(true);
          },
        },
      },
      body,
      type === null ? null : field(h("span", null, "To go on, type ", h("code", null, type)), typed),
      h("div", { class: "row" }, h("button", { type: "button", autofocus: type === null, on: { click: () => end(false) } }, "Cancel"), go),
    );
  });
  return answer === true;
}

/**
 * Asks for a key. Gives `{key}`, `{without: true}`, or null where it was put away.
 * @param {string} why
 * @param {(key: string) => Promise<string|null>} check What is wrong with the key, in words.
 */
export function signIn(why, check) {
  return opened("Sign in", (end) => {
    const key = h("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true, autofocus: true });
    const said = h("div", { role: "alert" });
    const go = h("button", { type: "submit", class: "main" }, "Sign in");
    async function submit(event) {
      event.preventDefault();
      go.disabled = true;
      const wrong = await check(key.value.trim());
      go.disabled = false;
      if (wrong === null) return end({ key: key.value.trim() });
      said.replaceChildren(notice("bad", wrong));
      key.select();
      return null;
    }
    return h(
      "form",
      { on: { submit } },
      h("p", { class: "note" }, why),
      said,
      field("Admin key, API key or token", key, { help: "Kept in this tab alone, until it is closed, and sent as Authorization: Bearer." }),
      h("div", { class: "row" }, h("button", { type: "button", class: "quiet", on: { click: () => end({ without: true }) } }, "Go on without"), go),
    );
  });
}
