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
  toast(`${name} is linked to ${record}.`, { action: { label: "Unlink", run: () => unlink(receipt, body) }, seconds: 20 });
  const waiting = [...rows.querySelectorAll("form[data-accept]")];
  const next = waiting.find((one) => row.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
  (next?.closest("[data-row]") || row).querySelector("a").focus();
}

// Other records may be suggested then, this one no more: the list is come back to, and says so.
function unlink(receipt, body) {
  const fields = [...body].map(([name, value]) => element("input", { type: "hidden", name, value }));
  const form = element("form", { method: "post", action: `/receipts/${receipt}/unlink`, hidden: true }, ...fields);
  document.body.append(form);
  form.submit();
}

rows?.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-accept]")) return;
  event.preventDefault();
  if (!event.target.querySelector("button").disabled) accept(event.target); // else it is under way
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "a" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event)) return;
  if (document.querySelector("dialog[open]")) return;
  const at = rows ? document.activeElement.closest("[data-row]") : document;
  const form = at?.querySelector("form[data-accept]");
  if (!form) return;
  event.preventDefault();
  if (!event.repeat) form.requestSubmit(); // a key that is held down accepts one
});
