// A choice among many, found by typing: a field with a list, after WAI-ARIA's pattern of a combobox. For a
// <select data-choice>, which stays, unseen, and is what its form sends (without this script it is chosen from as it
// is); and for what other scripts let people find.
import { element } from "./dom.js";

const MOST = 100;
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
let made = 0;

// Those that have all words of what was typed; where one of theirs begins with the first of them, first.
function matching(options, typed) {
  const words = plain(typed).split(/\s+/).filter(Boolean);
  const found = options.filter((one) => words.every((word) => plain(one.label).includes(word)));
  const begins = (one) => plain(one.label).split(/[\s>]+/).some((part) => part.startsWith(words[0]));
  return words.length ? [...found.filter(begins), ...found.filter((one) => !begins(one))] : found;
}

// The field and its list. `options` are {label, count}; `attributes` are the field's, `named` tells what the list is a
// list of. `shows()` is what the field says while nobody types, `isChosen(option)` which one is marked then; `take`
// gets the one that is chosen, `emptied()` is called where somebody leaves the field empty, `escaped()` after Escape.
function combobox(options, { id, attributes, named, shows = () => "", isChosen = () => false, take, emptied = () => {}, escaped = () => {} }) {
  const list = element("ul", { class: "choice-list", id: `${id}-list`, role: "listbox", hidden: true, ...named });
  const input = element("input", {
    id, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", "aria-autocomplete": "list",
    "aria-expanded": "false", "aria-controls": list.id, ...attributes,
  });
  let shown = [];
  let active = -1;

  const item = (option, place) => {
    const one = element("li", { id: `${list.id}-${place}`, role: "option", "aria-selected": "false" }, option.label);
    if (option.count) one.append(element("span", { class: "count" }, ` ${option.count}`));
    return one;
  };
  const rest = () => (input.value = shows());
  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (place) => {
    active = place;
    [...list.children].forEach((one, index) => one.setAttribute("aria-selected", String(index === place)));
    const marked = list.children[place];
    if (!marked) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", marked.id);
    marked.scrollIntoView({ block: "nearest" });
  };
  const open = (typed = "") => {
    shown = matching(options, typed).slice(0, MOST);
    list.replaceChildren(...shown.map(item));
    if (!shown.length) list.append(element("li", { role: "option", "aria-disabled": "true" }, "Nothing is called so."));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(shown.length && typed ? 0 : shown.findIndex(isChosen));
  };
  const pick = (place) => {
    const option = shown[place];
    if (!option) return;
    take(option);
    rest();
    close();
  };

  input.addEventListener("input", () => open(input.value));
  input.addEventListener("click", () => list.hidden && open());
  input.addEventListener("focus", () => input.select());
  input.addEventListener("change", (event) => event.stopPropagation()); // what was typed chooses nothing yet
  input.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      if (list.hidden) open();
      else if (shown.length) mark((Math.max(active, event.key === "ArrowUp" ? 0 : -1) + steps[event.key] + shown.length) % shown.length);
    } else if (event.key === "Enter" && !list.hidden) pick(active);
    else if (event.key === "Escape" && !list.hidden) {
      rest();
      close();
      escaped();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  input.addEventListener("blur", () => {
    if (!input.value) emptied();
    rest();
    close();
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => pick([...list.children].indexOf(event.target.closest("li"))));
  rest();
  return { input, list, open };
}

// A field that finds one of `options`, with its label, in `box`; it is empty again after each that was taken.
export function finder(options, { label, take, escaped }) {
  const id = `choice-${(made += 1)}`;
  const found = combobox(options, { id, attributes: { class: "form-control" }, named: { "aria-label": label }, take, escaped });
  return { ...found, box: element("div", { class: "choice" }, element("label", { for: id, class: "form-label" }, label), found.input, found.list) };
}

function enhance(select) {
  const { id } = select;
  const options = [...select.options].map((option) => ({ option, label: option.text, get count() { return option.dataset.count; } }));
  const label = document.querySelector(`label[for="${CSS.escape(id)}"]`);
  if (label) label.id = label.id || `${id}-label`;
  select.id = `${id}-value`;
  select.classList.add("d-none");
  select.tabIndex = -1;
  select.required = false; // nobody could be shown what is missing at a field that is not seen
  const take = ({ option }) => {
    if (select.value === option.value) return;
    select.value = option.value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const { input, list } = combobox(options, {
    id,
    attributes: {
      class: select.className.replace("form-select", "form-control").replace("d-none", ""),
      "aria-describedby": select.getAttribute("aria-describedby"), "aria-invalid": select.getAttribute("aria-invalid"),
      placeholder: select.options[0]?.value ? null : select.options[0]?.text,
    },
    named: label ? { "aria-labelledby": label.id } : {},
    shows: () => (select.value ? select.selectedOptions[0].text : ""),
    isChosen: ({ option }) => option.selected,
    take,
    emptied: () => {
      const none = options.find(({ option }) => !option.value);
      if (none) take(none);
    },
  });
  select.before(element("div", { class: "choice" }, input, list));
}

for (const select of document.querySelectorAll("select[data-choice]")) enhance(select);
