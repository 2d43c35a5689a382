// Small helpers. Text goes in as text: nothing here makes HTML out of what it is given.

// element("p", { class: "lead", "data-id": 7, onclick: f }, "text", otherElement)
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name, size = 16) {
  const sprite = document.querySelector("svg.bi use").getAttribute("href").split("#")[0];
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", "bi");
  made.setAttribute("width", size);
  made.setAttribute("height", size);
  made.setAttribute("fill", "currentColor");
  made.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${sprite}#${name}`);
  made.append(use);
  return made;
}

// Whether keys are for a field just now, and not for the page.
export function typing(event) {
  const at = event.target;
  if (at.tagName === "INPUT") return !["checkbox", "radio", "button", "submit"].includes(at.type);
  return at.isContentEditable || ["TEXTAREA", "SELECT"].includes(at.tagName);
}

const SECONDS = 6;

// A line at the edge of the page; with `action` ({label, run}) it can be acted on while it stands there, which is
// `seconds`, and as long as somebody points at it or its button has the focus.
export function toast(text, { tone = "", action = null, seconds = SECONDS } = {}) {
  const box = document.getElementById("toasts");
  const line = element("div", { class: `toast-line ${tone ? `toast-${tone}` : ""}`, role: "status" }, element("span", {}, text));
  if (action) {
    line.append(element("button", { type: "button", onclick: () => (line.remove(), action.run()) }, action.label));
  }
  box.append(line);
  while (box.children.length > 3) box.firstChild.remove();
  const leave = () => (line.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : line.remove());
  setTimeout(leave, seconds * 1000);
  return line;
}

export const complain = (problem) => toast(problem.message, { tone: "danger", seconds: 10 });
