// Elements, made without ever parsing text as markup: whatever a memory holds, it becomes a text node.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element.
 * @param {string} tag
 * @param {Object|null} props Attributes; `on` holds listeners by event, `vars` CSS custom properties. False and null leave one out.
 * @param {...any} children Nodes, strings, numbers, arrays of them; null and false are left out.
 */
export function h(tag, props, ...children) {
  return dressed(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s(tag, props, ...children) {
  return dressed(document.createElementNS(SVG, tag), props, children);
}

function dressed(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "vars") for (const [key, held] of Object.entries(value)) element.style.setProperty(key, held);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Puts new children in place of the old ones. */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
}

/**
 * Makes a parent's children look like these and touches only what differs, so that a view that is drawn anew every few
 * seconds keeps its focus, its selection and a screen reader's place. Not for children with listeners of their own.
 */
export function morph(parent, ...children) {
  match(parent, nodes(children));
}

function match(parent, wanted) {
  wanted.forEach((node, place) => {
    const there = parent.childNodes[place];
    if (!there) parent.append(node);
    else if (there.nodeType === Node.TEXT_NODE && node.nodeType === Node.TEXT_NODE) {
      if (there.data !== node.data) there.data = node.data;
    } else if (there.nodeName !== node.nodeName) there.replaceWith(node);
    else if (there.nodeType === Node.ELEMENT_NODE) {
      attributes(there, node);
      match(there, [...node.childNodes]);
    }
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

function attributes(there, node) {
  for (const name of there.getAttributeNames()) {
    if (name !== "open" && !node.hasAttribute(name)) there.removeAttribute(name);  // a person opens details
  }
  for (const name of node.getAttributeNames()) {
    if (name === "style") continue;  // an inline style is the policy's to refuse; custom properties follow below
    if (there.getAttribute(name) !== node.getAttribute(name)) there.setAttribute(name, node.getAttribute(name));
  }
  for (const name of node.style ?? []) {
    const value = node.style.getPropertyValue(name);
    if (there.style.getPropertyValue(name) !== value) there.style.setProperty(name, value);
  }
}
