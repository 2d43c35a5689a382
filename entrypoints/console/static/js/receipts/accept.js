// A suggested record, accepted: by its button or by `a`, in a list for the receipt at hand, and without leaving it.
import { ask } from "../api.js";
import { complain, element, icon, toast, typing } from "../dom.js";

const rows = document.querySelector("[data-rows]");

async function accept(form) {
  const row = form.closest("[data-row]");
  const receipt = form.getAttribute("action").split("/")[2];
  const button = form.querySelector("button");
  const body = new FormData(form);
  button.disabled = true;
  try {
    await ask(form.getAttribute("action"), { method: "POST", body });
  } catch (problem) {
    button.disabled = false;
    complain(problem);
    return;
  }
  const match = form.closest(".receipts-match");
  form.remove();
  match.querySelector(".likely")?.remove();
  match.prepend(icon("link-45deg"), element("span", { class: "visually-hidden" }, "Linked to "));
  const name = row.querySelector("a").textContent;
  const record = match.querySelector("a").textContent;
  toast(`${name} is linked to ${record}.`, { action: { label: "Undo", run: () => unlink(receipt, body) } });
  const waiting = [...rows.querySelectorAll("form[data-accept]")];
  const next = waiting.find((one) => row.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
  (next?.closest("[data-row]") || row).querySelector("a").focus();
}

// Other records may be suggested then, or this one no more: the list is asked for again.
async function unlink(receipt, body) {
  try {
    await ask(`/receipts/${receipt}/unlink`, { method: "POST", body });
    location.reload();
  } catch (problem) {
    complain(problem);
  }
}

rows?.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-accept]")) return;
  event.preventDefault();
  accept(event.target);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "a" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event)) return;
  if (document.querySelector("dialog[open]")) return;
  const at = rows ? document.activeElement.closest("[data-row]") : document;
  const form = at?.querySelector("form[data-accept]");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit();
});
