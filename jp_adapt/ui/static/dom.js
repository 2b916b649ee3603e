// Elements from values. Every text becomes a text node and goes through `visible` first: nothing of a run is ever read as markup, hides or reorders what stands beside it.

const japanese = /[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]/;
// eslint-disable-next-line no-control-regex
const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function visible(value) {
  return String(value ?? "").replaceAll("\r\n", "\n").replace(hidden, (char) => {
    const code = char.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return code >= 0xd800 && code < 0xe000 ? "\ufffd" : `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

// h("button", { class: "quiet", onclick: f }, "text", node, ...); a property whose value is null or false is left out.
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, one] of Object.entries(value)) node.style.setProperty(`--${key}`, one);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : visible(value));
  }
  fill(node, ...children);
  return node;
}

export function fill(node, ...children) {
  const nodes = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  node.replaceChildren(...nodes.map((child) => (child instanceof Node ? child : document.createTextNode(visible(child)))));
  const text = nodes.filter((child) => !(child instanceof Node)).join("");
  if (japanese.test(text) && document.documentElement.lang !== "ja") node.lang = "ja";
  return node;
}

// A frame in which a wide table scrolls by itself, by the keyboard too.
export const SCROLLS = { class: "scroll", tabindex: 0, role: "group" };

export function select(label, options, chosen, onchange) {
  const node = h("select", { onchange: () => onchange(node.value) }, options.map(([value, name]) => h("option", { value }, name)));
  node.value = chosen;
  return h("label", { class: "field" }, h("span", {}, label), node);
}

export function later(work, ms) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), ms);
  };
}
