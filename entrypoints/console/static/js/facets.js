// How many records of each there are, beside what one may choose: they come when they are counted.
import { ask } from "./api.js";
import { element } from "./dom.js";

const form = document.querySelector("form[data-facets]");
const whole = new Intl.NumberFormat("en");

function label(counts, field) {
  for (const option of form.querySelector(`select[name="${field}"]`).options) {
    const count = counts[option.value];
    if (!option.value || count === undefined) continue;
    option.dataset.count = whole.format(count);
    if (!option.closest("[data-choice]")) option.text = `${option.text} (${whole.format(count)})`;
  }
}

function suggest(counts, field) {
  const values = Object.entries(counts).map(([value, count]) => element("option", { value }, whole.format(count)));
  document.getElementById(`${field}-values`).replaceChildren(...values);
}

async function show() {
  const { counts, newest } = await ask(form.dataset.facets);
  for (const shown of form.querySelectorAll("[data-count-of]")) {
    shown.textContent = ` ${whole.format(counts.status[shown.dataset.countOf] ?? 0)}`;
  }
  for (const field of ["category_id", "stage", "connection_id", "month"]) label(counts[field], field);
  for (const field of ["currency", "kind"]) suggest(counts[field], field);
  const note = document.querySelector("[data-newest]");
  if (newest === null) return;
  note.querySelector("span").textContent = whole.format(newest);
  note.hidden = false;
}

// Without counts the list is as good as before: nothing is said of what could not be counted.
if (form) show().catch(() => {});
