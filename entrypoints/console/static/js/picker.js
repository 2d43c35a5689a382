// A field that finds one of many by typing: WAI-ARIA's combobox with a list. `options` are {id, label}.
import { element } from "./dom.js";

const SHOWN = 12;
let made = 0;

const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

// Those that have all words of what was typed; where its beginning fits, first.
export function matching(options, typed) {
  const words = plain(typed).split(/\s+/).filter(Boolean);
  const found = options.filter((option) => words.every((word) => plain(option.label).includes(word)));
  const starts = (option) => (words.length && plain(option.label).split(/[\s>]+/).some((part) => part.startsWith(words[0])) ? 0 : 1);
  return found.map((option, place) => [starts(option), place, option]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((one) => one[2]);
}

// The elements of a picker; `chosen(option)` is called when one is taken, `left()` when the person gives up by Escape.
export function picker(options, { label, chosen, left = () => {} }) {
  const id = `picker-${++made}`;
  const list = element("ul", { id: `${id}-list`, role: "listbox", "aria-label": label, class: "picker-list list-group", hidden: true });
  const input = element("input", {
    id, type: "text", class: "form-control", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`,
  });
  let found = [];
  let at = 0;

  function draw() {
    found = matching(options, input.value).slice(0, SHOWN);
    at = Math.min(at, Math.max(found.length - 1, 0));
    list.replaceChildren(...found.map((option, place) => element(
      "li",
      {
        id: `${id}-${place}`, role: "option", class: `list-group-item list-group-item-action ${place === at ? "active" : ""}`,
        "aria-selected": String(place === at), onmousedown: (event) => (event.preventDefault(), take(option)),
      },
      option.label,
    )));
    if (!found.length) list.append(element("li", { class: "list-group-item text-body-secondary", role: "option", "aria-disabled": "true" }, "Nothing is called so."));
    list.hidden = document.activeElement !== input;
    input.setAttribute("aria-expanded", String(!list.hidden));
    if (found.length && !list.hidden) input.setAttribute("aria-activedescendant", `${id}-${at}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function take(option) {
    input.value = "";
    at = 0;
    input.blur();
    chosen(option);
  }

  input.addEventListener("input", () => ((at = 0), draw()));
  input.addEventListener("focus", draw);
  input.addEventListener("blur", () => ((list.hidden = true), input.setAttribute("aria-expanded", "false")));
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      at = (at + (event.key === "ArrowDown" ? 1 : found.length - 1)) % Math.max(found.length, 1);
      draw();
    } else if (event.key === "Enter" && found[at]) take(found[at]);
    else if (event.key === "Escape") {
      input.value = "";
      input.blur();
      left();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { input, box: element("div", { class: "picker" }, element("label", { for: id, class: "form-label" }, label), input, list) };
}
