// The editor of a rule: suggestions while one writes, errors at their place, and what the rule would do.
import * as api from "../api.js";
import { element } from "../dom.js";
import { localise } from "../moments.js";
import { ask, complain_of, note, put } from "./asking.js";
import { deletes } from "./removing.js";
import { Suggestions } from "./suggest.js";
import { offers } from "./words.js";

const form = document.getElementById("rule");
const when = document.getElementById("when");
const preview = document.getElementById("preview");
const working = document.getElementById("working");
const PAUSE = 500;

for (const one of document.querySelectorAll("[data-delete]")) deletes(one);
document.getElementById("confirm")?.focus();

// A copy of the text below it, for the place of a character, and to underline what is wrong.
const mirror = document.querySelector(".when-mirror");

function reflect(column = 0) {
  if (!mirror) return;
  const text = when.value;
  const at = column - 1;
  mirror.replaceChildren(text);
  if (column > 0) {
    const end = Math.max(at + 1, at + (/^[^\s()]+/.exec(text.slice(at))?.[0].length || 1));
    mirror.replaceChildren(text.slice(0, at), element("mark", {}, text.slice(at, end) || " "), text.slice(end));
  }
  mirror.scrollTop = when.scrollTop;
}

function placeAt(_, from) {
  const mark = element("span", {}, "\u200b");
  mirror.replaceChildren(when.value.slice(0, from), mark, when.value.slice(from));
  mirror.scrollTop = when.scrollTop;
  const place = { left: mark.offsetLeft, top: mark.offsetTop + mark.offsetHeight - when.scrollTop + 2 };
  reflect();
  return place;
}

async function complete() {
  const words = await api.ask(when.dataset.words);
  new Suggestions(when, (field, asked) => (field.selectionStart === field.selectionEnd ? offers(field.value, field.selectionStart, words, asked) : null), placeAt);
  const whole = (names) => (field, asked) => {
    const typed = field.value.trim().toLowerCase();
    if (!typed && !asked) return null;
    const found = names.filter((name) => name.toLowerCase().includes(asked && names.some((one) => one === field.value) ? "" : typed));
    return { from: 0, to: field.value.length, options: found.slice(0, 50).map((name) => ({ label: name, insert: name })) };
  };
  const category = document.getElementById("category");
  category.removeAttribute("list");
  category.parentElement.classList.add("combo");
  new Suggestions(category, whole(words.categories));
  const tags = document.getElementById("tags");
  tags.parentElement.classList.add("combo");
  new Suggestions(tags, (field, asked) => {
    const from = field.value.lastIndexOf(",", field.selectionStart - 1) + 1;
    const typed = field.value.slice(from, field.selectionStart).trim().toLowerCase();
    if (!typed && !asked) return null;
    const found = words.tags.filter((tag) => tag.toLowerCase().includes(typed)).slice(0, 12);
    return { from, to: field.selectionStart, options: found.map((tag) => ({ label: tag, insert: `${from ? " " : ""}${tag}, ` })) };
  });
}

// What the rule would do: asked for when one pauses, never twice at once; what was typed meanwhile is asked for after.
let timer = 0;
let busy = false;
let again = false;
let whole = false;

function later() {
  clearTimeout(timer);
  timer = setTimeout(look, PAUSE);
}

async function look() {
  if (busy) {
    again = true;
    return;
  }
  if (when && !when.value.trim()) {
    preview.replaceChildren(note(preview.dataset.empty || ""));
    told({});
    return;
  }
  busy = true;
  working.textContent = "looking…";
  const sent = new FormData(form);
  if (whole) sent.append("all", "1");
  whole = false;
  try {
    const done = await ask("/rules/preview", sent);
    told(done.wrong || {}, done.column);
    if (done.html !== null) {
      put(preview, done.html);
      localise(preview);
    }
    working.textContent = done.html === null && preview.querySelector(".matches") ? "as it was before" : "";
  } catch (problem) {
    working.textContent = problem.status === 429 || problem.status === 503 ? "the server is busy: in a moment" : "";
    if (working.textContent) setTimeout(later, 5000);
    else complain_of(problem);
  }
  busy = false;
  if (again) {
    again = false;
    later();
  }
}

// Beside the condition while one writes it; beside the others once they are sent.
function told(wrong, column) {
  if (!when) return;
  const said = document.getElementById("when-wrong");
  const text = wrong.when || "";
  if (said.textContent !== text) said.textContent = text;
  when.classList.toggle("is-invalid", Boolean(text));
  when.toggleAttribute("aria-invalid", Boolean(text));
  if (text) when.setAttribute("aria-invalid", "true");
  reflect(text ? column : 0);
  const others = Object.entries(wrong).filter(([name]) => name !== "when").map(([, why]) => why);
  if (others.length) preview.replaceChildren(note(others.join(" ")));
}

function showFor() {
  const does = form.querySelector("[name=does]:checked")?.value;
  for (const part of form.querySelectorAll("[data-of-does]")) part.hidden = !part.dataset.ofDoes.split(" ").includes(does);
}

if (when) {
  reflect(Number(when.dataset.column || 0));
  when.addEventListener("input", () => reflect());
  when.addEventListener("scroll", () => (mirror.scrollTop = when.scrollTop));
  form.addEventListener("input", (event) => {
    if (event.target.name !== "name") later();
  });
  form.addEventListener("change", showFor);
  showFor();
  form.querySelector("[data-preview]")?.addEventListener("click", (event) => {
    event.preventDefault();
    look();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(form.querySelector(".btn-primary"));
  });
  complete().catch(complain_of);
  if (!when.value) document.getElementById("name").focus();
  document.querySelector(".is-invalid")?.focus();
}
preview.addEventListener("click", (event) => {
  if (!event.target.closest("[data-all]")) return;
  whole = true;
  look();
});

// Whether a record matches, and why.
const search = document.getElementById("why-form");
const why = document.getElementById("why");

async function explain(record) {
  const sent = new FormData(form);
  sent.append("search", search.elements.search.value);
  if (record) sent.append("record", record);
  try {
    const done = await ask("/rules/why", sent);
    put(why, done.html);
    localise(why);
  } catch (problem) {
    complain_of(problem);
  }
}

search?.addEventListener("submit", (event) => {
  event.preventDefault();
  explain(null);
});
why?.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-record]");
  if (chosen) explain(chosen.dataset.record);
});
