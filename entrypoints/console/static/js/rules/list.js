// The list of rules: put in order by dragging or by keys, switched on and off, deleted with a way back.
import { toast, typing } from "../dom.js";
import { ask, complain_of, question } from "./asking.js";
import { deletes, offersUndo } from "./removing.js";
import "./walk.js";

const list = document.getElementById("rules");
const live = document.getElementById("moved");

offersUndo(document.getElementById("notices"));
for (const form of document.querySelectorAll("[data-delete]")) deletes(form);

let saving = Promise.resolve();

// One after the other, so that each is made of the order that the one before it left.
function save(rule, fields, undo) {
  saving = saving.then(async () => {
    const form = new FormData();
    form.append("rule", rule.dataset.rule);
    form.append("version", list.dataset.version);
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    try {
      const done = await ask("/rules/order", form);
      list.dataset.version = done.version;
      for (const input of document.querySelectorAll("[data-move] input[name=version]")) input.value = done.version;
      for (const [id, version] of Object.entries(done.versions)) renew(id, version);
      live.textContent = done.said;
    } catch (problem) {
      undo();
      complain_of(problem);
    }
  });
  return saving;
}

function renew(id, version) {
  const inputs = document.querySelectorAll(`#rule-${id} .switch-form input[name=version], #rule-${id} [data-delete] input[name=version]`);
  for (const input of inputs) input.value = version;
}

// Where the rule stands now, told by its neighbour; `undo` puts it back.
function saveWhereItIs(rule, undo) {
  const before = rule.previousElementSibling;
  const after = rule.nextElementSibling;
  return save(rule, before ? { after: before.dataset.rule } : { before: after.dataset.rule }, undo);
}

function place(rule) {
  const next = rule.nextElementSibling;
  const parent = rule.parentElement;
  return () => parent.insertBefore(rule, next);
}

function step(rule, down) {
  const other = down ? rule.nextElementSibling : rule.previousElementSibling;
  if (!other) return;
  const undo = place(rule);
  const focused = document.activeElement;
  if (down) other.after(rule);
  else other.before(rule);
  focused.focus();
  rule.scrollIntoView({ block: "nearest" });
  saveWhereItIs(rule, undo);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "n" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event)) {
    document.querySelector("[data-new]")?.click();
    return;
  }
  if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  const rule = document.activeElement?.closest?.("[data-rule]");
  if (!rule?.querySelector(".grip")) return;
  event.preventDefault();
  step(rule, event.key === "ArrowDown");
});

// By mouse, pen or finger: the row moves to where it would stand, among those of its stage.
function drag(grip) {
  const rule = grip.closest("[data-rule]");
  let undo = null;
  let moved = false;
  grip.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    grip.setPointerCapture(event.pointerId);
    undo = place(rule);
    moved = false;
    rule.classList.add("dragged");
  });
  grip.addEventListener("pointermove", (event) => {
    if (!undo) return;
    if (event.clientY < 60) window.scrollBy(0, -12);
    else if (event.clientY > window.innerHeight - 60) window.scrollBy(0, 12);
    const before = rule.previousElementSibling;
    const after = rule.nextElementSibling;
    if (before && event.clientY < middle(before)) before.before(rule);
    else if (after && event.clientY > middle(after)) after.after(rule);
    else return;
    moved = true;
    grip.setPointerCapture(event.pointerId); // moving a node lets the pointer go
  });
  const end = (event) => {
    if (!undo) return;
    const back = undo;
    undo = null;
    rule.classList.remove("dragged");
    if (event.type === "pointercancel") back();
    else if (moved) saveWhereItIs(rule, back);
  };
  grip.addEventListener("pointerup", end);
  grip.addEventListener("pointercancel", end);
}

const middle = (row) => {
  const box = row.getBoundingClientRect();
  return box.top + box.height / 2;
};

for (const grip of document.querySelectorAll(".grip")) drag(grip);

for (const form of document.querySelectorAll("[data-move]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const rule = form.closest("[data-rule]");
    const undo = place(rule);
    const { move } = form.dataset;
    if (move === "up") rule.previousElementSibling?.before(rule);
    if (move === "down") rule.nextElementSibling?.after(rule);
    if (move === "top") rule.parentElement.prepend(rule);
    if (move === "bottom") rule.parentElement.append(rule);
    rule.scrollIntoView({ block: "nearest" });
    rule.querySelector(".grip").focus();
    save(rule, { move }, undo).then(() => toast(live.textContent));
  });
}

for (const form of document.querySelectorAll(".switch-form")) {
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = form.elements.on.value === "1";
    const sent = new FormData(form);
    button.disabled = true;
    try {
      const done = await ask(form.getAttribute("action"), sent).catch((problem) => {
        if (problem.code !== "confirm_needed" || !window.confirm(question(problem))) throw problem;
        sent.append("confirm", "1");
        return ask(form.getAttribute("action"), sent);
      });
      button.setAttribute("aria-checked", wanted);
      form.elements.on.value = wanted ? "0" : "1";
      renew(form.closest("[data-rule]").dataset.rule, Number(form.elements.version.value) + 1);
      list.dataset.version = Number(list.dataset.version) + 1;
      toast(done.said);
    } catch (problem) {
      if (problem.code !== "confirm_needed") complain_of(problem);
    }
    button.disabled = false;
    button.focus();
  });
}
