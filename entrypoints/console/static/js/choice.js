// <select data-choice>: a choice among many, found by typing (a combobox with a list, after WAI-ARIA's pattern). The
// select stays, unseen, and is what the form sends: without this script it is chosen from as it is.
import { element } from "./dom.js";

const MOST = 100;
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();

export function enhance(select) {
  const id = select.id;
  const options = [...select.options].map((option) => ({ option, plain: plain(option.text) }));
  const list = element("ul", { class: "choice-list", id: `${id}-list`, role: "listbox", hidden: true });
  const input = element("input", {
    class: select.className.replace("form-select", "form-control choice-input"), id, type: "text", role: "combobox",
    autocomplete: "off", spellcheck: "false", "aria-autocomplete": "list", "aria-expanded": "false",
    "aria-controls": list.id, "aria-describedby": select.getAttribute("aria-describedby"),
    "aria-invalid": select.getAttribute("aria-invalid"), placeholder: select.options[0]?.value ? null : select.options[0]?.text,
  });
  const label = document.querySelector(`label[for="${CSS.escape(id)}"]`);
  if (label) {
    label.id = label.id || `${id}-label`;
    list.setAttribute("aria-labelledby", label.id);
  }
  select.id = `${id}-value`;
  select.classList.add("d-none");
  select.tabIndex = -1;
  select.required = false; // nobody could be shown what is missing at a field that is not seen
  let shown = [];
  let active = -1;

  const item = (option, name) => {
    const made = element("li", { id: name, role: "option", "aria-selected": "false" }, option.text);
    if (option.dataset.count) made.append(element("span", { class: "count" }, ` ${option.dataset.count}`));
    return made;
  };
  const chosen = () => (select.value ? select.selectedOptions[0].text : "");
  const rest = () => (input.value = chosen());
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
  const open = (words) => {
    const wanted = plain(words).split(/\s+/).filter(Boolean);
    shown = options.filter((one) => wanted.every((word) => one.plain.includes(word))).slice(0, MOST);
    list.replaceChildren(
      ...shown.map((one, index) => item(one.option, `${list.id}-${index}`)),
    );
    list.hidden = shown.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
    mark(words ? 0 : shown.findIndex((one) => one.option.selected));
  };
  const pick = (place) => {
    const one = shown[place];
    if (!one) return;
    const changed = select.value !== one.option.value;
    select.value = one.option.value;
    rest();
    close();
    if (changed) select.dispatchEvent(new Event("change", { bubbles: true }));
  };

  input.addEventListener("input", () => open(input.value));
  input.addEventListener("click", () => list.hidden && open(""));
  input.addEventListener("focus", () => input.select());
  input.addEventListener("change", (event) => event.stopPropagation()); // what was typed chooses nothing yet
  input.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      if (list.hidden) open("");
      else if (shown.length) mark((active + steps[event.key] + shown.length) % shown.length);
    } else if (event.key === "Enter" && !list.hidden && active >= 0) pick(active);
    else if (event.key === "Escape" && !list.hidden) {
      rest();
      close();
    } else return;
    event.preventDefault();
  });
  input.addEventListener("blur", () => {
    if (!input.value) {
      const none = options.findIndex((one) => !one.option.value);
      if (none >= 0 && select.value) {
        shown = options;
        pick(none);
      }
    }
    rest();
    close();
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => pick([...list.children].indexOf(event.target.closest("li"))));

  rest();
  select.before(element("div", { class: "choice" }, input, list));
}

for (const select of document.querySelectorAll("select[data-choice]")) enhance(select);
