// Forms of connections: sent and shown again without losing the secrets that were typed, which the server never sends
// back. And the progress of a sync.
import { poll } from "./api.js";
import { complain, element, toast, typing } from "./dom.js";

const SAID = "sortation-said";

function showVariants(root) {
  for (const set of root.querySelectorAll("[data-variants]")) {
    const choice = set.querySelector("select");
    const show = () => {
      for (const part of set.querySelectorAll(":scope > [data-variant]")) {
        part.hidden = part.dataset.variant !== choice.value;
      }
    };
    choice.addEventListener("change", show);
    show();
  }
}

// A private key has several lines, which a password field would lose.
function widen(input, text) {
  const area = element("textarea", { class: `${input.className} masked`, rows: 6, spellcheck: "false", "data-secret": true });
  for (const name of ["id", "name", "aria-describedby", "autocomplete"]) {
    if (input.hasAttribute(name)) area.setAttribute(name, input.getAttribute(name));
  }
  area.value = text;
  input.replaceWith(area);
  area.focus();
}

document.addEventListener("paste", (event) => {
  const input = event.target;
  const text = event.clipboardData?.getData("text") || "";
  if (!(input instanceof HTMLInputElement) || !("secret" in input.dataset) || !text.trim().includes("\n")) return;
  event.preventDefault();
  widen(input, text.trim());
});

// What the server wrote is escaped by its templates; scripts in it would not run.
function swap(form, written) {
  const next = new DOMParser().parseFromString(written, "text/html").getElementById(form.id);
  if (!next) return false;
  const kept = new Map([...form.querySelectorAll("[data-secret]")].map((input) => [input.name, input.value]));
  const made = document.importNode(next, true);
  form.replaceWith(made);
  for (const input of made.querySelectorAll("[data-secret]")) {
    const value = kept.get(input.name);
    if (!value) continue;
    if (value.includes("\n")) widen(input, value);
    else input.value = value;
  }
  showVariants(made);
  return made;
}

function focusAfter(form, button, former) {
  if (button?.startsWith("add:")) {
    const items = form.querySelectorAll(`[name="${CSS.escape(`${button.slice(4)}!item`)}"]`);
    const last = items[items.length - 1]?.closest("fieldset");
    last?.querySelector("input:not([type=hidden]), select, textarea")?.focus();
  } else if (button?.startsWith("remove:")) {
    const list = button.slice(7).replace(/\.\d+$/, "");
    form.querySelector(`[value="${CSS.escape(`add:${list}`)}"]`)?.focus();
  } else {
    const first = form.querySelector("[aria-invalid=true]") || form.querySelector("[data-focus]");
    (first || form.querySelector(`#${CSS.escape(former)}`))?.focus();
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("swap" in form.dataset)) return;
  event.preventDefault();
  const button = event.submitter;
  const todo = button?.name === "do" ? button.value : "";
  const body = new URLSearchParams(new FormData(form, button));
  const buttons = [...form.querySelectorAll("button")];
  const label = button?.textContent;
  if (button?.dataset.busy) button.textContent = button.dataset.busy;
  buttons.forEach((one) => (one.disabled = true));
  try {
    const answer = await fetch(button?.hasAttribute("formaction") ? button.formAction : form.action, {
      method: "POST", body, headers: { Accept: "application/json" }, credentials: "same-origin",
    });
    if ((answer.headers.get("Content-Type") || "").includes("json")) {
      const said = await answer.json();
      if (!answer.ok) throw new Error(said.detail || said.title);
      sessionStorage.setItem(SAID, said.said);
      location.assign(said.to);
      return;
    }
    const made = swap(form, await answer.text());
    if (!made) throw new Error(`The server answered ${answer.status}.`);
    focusAfter(made, todo, "name");
  } catch (problem) {
    buttons.forEach((one) => (one.disabled = false));
    if (button?.dataset.busy) button.textContent = label;
    complain(problem instanceof TypeError ? new Error("The server cannot be reached: nothing was saved.") : problem);
  }
});

const said = sessionStorage.getItem(SAID);
sessionStorage.removeItem(SAID);
const told = said && toast(said);

const shown = document.querySelector("[data-syncing]");
if (shown) {
  const line = shown.querySelector("[data-sync]");
  poll(`/connections/${shown.dataset.connection}/state`, ({ sync }) => {
    if (!sync) {
      if (told?.isConnected) sessionStorage.setItem(SAID, said); // a quick sync leaves no time to read it
      location.replace(location.pathname.split("/").slice(0, 3).join("/"));
      return true;
    }
    line.textContent = `Sync: ${[sync.said, sync.progress].filter(Boolean).join(", ")}`;
    return false;
  }).catch(complain);
}

document.addEventListener("keydown", (event) => {
  if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key)) return;
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement);
  rows[event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0)]?.focus();
});

showVariants(document);
