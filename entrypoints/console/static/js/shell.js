// On every page: the menu's keys, the theme, questions before what cannot be undone, filters that send themselves.
import { typing } from "./dom.js";
import { localise } from "./moments.js";

localise();

const THEMES = ["auto", "light", "dark"];
const YEAR = 365 * 24 * 3600;

for (const button of document.querySelectorAll("[data-theme-next]")) {
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    const root = document.documentElement;
    const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    root.dataset.theme = next;
    document.cookie = `sortation-theme=${next}; path=/; max-age=${YEAR}; samesite=lax`;
    button.querySelector("[data-theme-name]").textContent = next;
    window.applyTheme();
  });
}

const shortcuts = document.getElementById("shortcuts");
for (const button of document.querySelectorAll("[data-shortcuts]")) {
  button.addEventListener("click", () => shortcuts.showModal());
}

let going = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event) || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "?") shortcuts.showModal();
  else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (!search) return;
    search.focus();
    search.select?.();
  } else if (event.key === "g") going = Date.now();
  else if (Date.now() - going < 1500) {
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    going = 0;
    if (!link) return;
    link.click();
  } else return;
  event.preventDefault();
});

document.addEventListener("submit", (event) => {
  const ask = event.target.dataset.ask;
  if (ask && !window.confirm(ask)) event.preventDefault();
});

// <form data-filters>: sends itself when a choice changes, and leaves what is empty out of the address.
for (const form of document.querySelectorAll("form[data-filters]")) {
  form.addEventListener("change", (event) => {
    if (event.target.tagName === "SELECT" || event.target.type === "checkbox") form.requestSubmit();
  });
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

// What was clicked twice is sent once.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  const button = event.submitter;
  if (button && event.target.method === "post") setTimeout(() => (button.disabled = true));
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return; // only a page that is come back to has them disabled by what is above
  for (const button of document.querySelectorAll("button[disabled][type=submit]")) button.disabled = false;
});
