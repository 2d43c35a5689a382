// Deleting a rule, with a way back: what it was is kept in this tab until the next page is left.
import { ask, complain_of } from "./asking.js";
import { element } from "../dom.js";

const KEPT = "sortation-deleted-rule";

export function deletes(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const done = await ask(form.getAttribute("action"), new FormData(form));
      sessionStorage.setItem(KEPT, JSON.stringify(done));
      location.assign(done.to);
    } catch (problem) {
      complain_of(problem);
    }
  });
}

export function offersUndo(place) {
  const kept = sessionStorage.getItem(KEPT);
  if (!kept || !place) return;
  sessionStorage.removeItem(KEPT);
  const { said, was } = JSON.parse(kept);
  const button = element("button", { class: "btn btn-sm btn-outline-secondary ms-2", type: "button" }, "Undo");
  const notice = element("div", { class: "alert alert-success", role: "status" }, said, button);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const form = new FormData();
    for (const [name, value] of Object.entries(was)) if (value !== "") form.append(name, value);
    form.append("confirm", "1");
    try {
      const done = await ask("/rules/new", form);
      location.assign(done.to);
      location.reload();
    } catch (problem) {
      button.disabled = false;
      complain_of(problem);
    }
  });
  place.append(notice);
  button.focus();
}
