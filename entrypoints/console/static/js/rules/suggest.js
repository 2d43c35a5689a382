// A list of suggestions at a field: for the arrow keys, for a screen reader, and for the mouse.
import { element } from "../dom.js";

let count = 0;

// `offer(field)` gives {from, to, options: [{label, insert, hint, again}]} or null; `at(field, from)` where the list goes.
// `again` asks anew once the option is taken.
export class Suggestions {
  constructor(field, offer, at = null) {
    this.field = field;
    this.offer = offer;
    this.at = at;
    this.id = `suggestions-${(count += 1)}`;
    this.list = element("ul", { class: "choice-list suggestions", id: this.id, role: "listbox", "aria-label": "Suggestions", hidden: true });
    field.after(this.list);
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", this.id);
    if (field.tagName === "INPUT") {
      field.setAttribute("role", "combobox");
      field.setAttribute("aria-expanded", "false");
    }
    field.addEventListener("input", () => this.open(false));
    field.addEventListener("keydown", (event) => this.key(event));
    field.addEventListener("blur", () => this.close());
    field.addEventListener("click", () => this.close());
    // Not to lose the focus by a click.
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.take(Number(option.dataset.place));
    });
    // What may be written comes after the page: somebody may have begun.
    if (document.activeElement === field && field.value !== field.defaultValue) this.open(false);
  }

  get isOpen() {
    return !this.list.hidden;
  }

  open(asked) {
    const found = this.offer(this.field, asked);
    if (!found || !found.options.length) return this.close();
    this.found = found;
    this.list.replaceChildren(
      ...found.options.map((option, place) =>
        element("li", { role: "option", id: `${this.id}-${place}`, "data-place": place, "aria-selected": "false" },
          element("span", {}, option.label), option.hint ? element("span", { class: "hint" }, option.hint) : null)),
    );
    this.list.hidden = false;
    if (this.field.tagName === "INPUT") this.field.setAttribute("aria-expanded", "true");
    if (this.at) {
      const { left, top } = this.at(this.field, found.from);
      this.list.style.top = `${top}px`;
      this.list.style.left = `${Math.max(0, Math.min(left, this.field.offsetWidth - this.list.offsetWidth))}px`;
    }
    this.choose(found.options.length && asked ? 0 : -1);
  }

  close() {
    this.list.hidden = true;
    this.field.removeAttribute("aria-activedescendant");
    if (this.field.tagName === "INPUT") this.field.setAttribute("aria-expanded", "false");
  }

  choose(place) {
    this.place = place;
    for (const option of this.list.children) option.setAttribute("aria-selected", String(Number(option.dataset.place) === place));
    const chosen = this.list.children[place];
    if (chosen) {
      this.field.setAttribute("aria-activedescendant", chosen.id);
      chosen.scrollIntoView({ block: "nearest" });
    } else this.field.removeAttribute("aria-activedescendant");
  }

  key(event) {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      return this.open(true);
    }
    if (!this.isOpen) {
      if (event.key === "ArrowDown" && this.field.tagName === "INPUT") {
        event.preventDefault();
        this.open(true);
      }
      return undefined;
    }
    const last = this.list.children.length - 1;
    if (event.key === "ArrowDown") this.choose(this.place >= last ? 0 : this.place + 1);
    else if (event.key === "ArrowUp") this.choose(this.place <= 0 ? last : this.place - 1);
    else if (event.key === "Escape") this.close();
    else if ((event.key === "Enter" || event.key === "Tab") && this.place >= 0 && !event.ctrlKey) this.take(this.place);
    else return undefined;
    event.preventDefault();
    event.stopPropagation();
    return undefined;
  }

  take(place) {
    const { from, to, options } = this.found;
    this.close();
    this.field.focus();
    this.field.setRangeText(options[place].insert, from, to, "end");
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    this.close();
    if (options[place].again) this.open(true);
  }
}
