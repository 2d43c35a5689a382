// Choosing records of the list, one by one, by Shift all up to there, or by x; and what was done with them, undone.
import { ask } from "./api.js";
import { complain, toast, typing } from "./dom.js";

const KEPT = "sortation-many";
const form = document.querySelector("[data-many]");
const boxes = [...document.querySelectorAll("[data-choose]")];
const all = document.querySelector("[data-choose-all]");
const whole = new Intl.NumberFormat("en");
let last = null;

function count() {
  const chosen = boxes.filter((box) => box.checked).length;
  form.querySelector("[data-many-bar]").hidden = chosen === 0;
  form.querySelector("[data-many-count]").textContent = `${whole.format(chosen)} chosen`;
  all.checked = chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
}

function choose(some, checked) {
  for (const box of some) box.checked = checked;
  count();
}

// What the next page says, and where one was: it is read once.
function goOn(to, said, undo = null) {
  const at = boxes.findIndex((box) => box.checked);
  sessionStorage.setItem(KEPT, JSON.stringify({ said, undo, at }));
  location.assign(to);
}

async function takeBack(records) {
  try {
    const { said } = await ask("/records/undo", { method: "POST", body: { records } });
    goOn(location.pathname + location.search, said);
  } catch (problem) {
    complain(problem);
  }
}

function tell() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) || "null");
  sessionStorage.removeItem(KEPT);
  if (!kept) return;
  toast(kept.said, kept.undo ? { action: { label: "Undo", run: () => takeBack(kept.undo) }, seconds: 15 } : {});
  boxes[Math.min(kept.at, boxes.length - 1)]?.focus();
}

function begin() {
  for (const box of boxes) {
    box.addEventListener("click", (event) => {
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)];
      if (event.shiftKey && from >= 0) choose(boxes.slice(Math.min(from, to), Math.max(from, to) + 1), box.checked);
      last = box;
      count();
    });
  }
  all.hidden = false;
  all.addEventListener("click", () => choose(boxes, all.checked));
  form.addEventListener("reset", () => setTimeout(count));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    button.disabled = true;
    try {
      const path = button.hasAttribute("formaction") ? button.formAction : form.action;
      const { to, said, undo } = await ask(path, { method: "POST", body: new FormData(form) });
      goOn(to, said, undo);
    } catch (problem) {
      complain(problem);
      button.disabled = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    const box = document.activeElement.closest("[data-row]")?.querySelector("[data-choose]");
    if (!box) return;
    box.checked = !box.checked;
    last = box;
    count();
    event.preventDefault();
  });
  count();
}

tell();
if (form) begin();
