// Receipts are sent as they are dropped or chosen, one after the other; what was read stands beside each file.
import { ask, poll } from "../api.js";
import { complain, element, icon } from "../dom.js";

const form = document.querySelector("[data-receipts]");
const list = form.querySelector("[data-sent]");
let sending = Promise.resolve();
let reading = Promise.resolve();
let waiting = 0;

const said = (line, text, tone = "text-body-secondary") => line.replaceChildren(element("span", { class: tone }, text));

function settle() {
  waiting -= 1;
  if (waiting || !list.querySelector("a") || form.querySelector("[data-then]")) return;
  form.append(element("p", { class: "mt-2 mb-0", "data-then": true }, element("a", { href: "/receipts" }, "See them in the list")));
}

function acceptButton(now, line) {
  const run = async (event) => {
    event.target.disabled = true;
    const body = new FormData();
    body.set("record_id", now.record.id);
    body.set("suggested", "1");
    try {
      await ask(`/receipts/${now.id}/link`, { method: "POST", body });
      tell({ ...now, record: { ...now.record, state: "linked" } }, line);
    } catch (problem) {
      event.target.disabled = false;
      complain(problem);
    }
  };
  return element("button", { type: "button", class: "btn btn-sm btn-outline-primary", onclick: run }, "Accept");
}

// What it says, and the record that it is of or may be of.
function tell(now, line) {
  const { record } = now;
  if (now.state === "reading") {
    said(line, "It is being read …");
    return false;
  }
  const words = now.said || (now.state === "unreadable" ? `It could not be read: ${now.failure || "nobody knows why"}` : "It is kept");
  const lack = now.said ? "" : ". Open it to say what it says.";
  line.replaceChildren(element("span", {}, words + lack));
  if (!record) return true;
  const shown = element("a", { href: `/records/${record.id}` }, record.words);
  if (record.state === "linked") line.append(element("span", {}, icon("link-45deg"), " ", shown));
  else line.append(element("span", {}, `${record.likely}: `, shown, " ", acceptButton(now, line)));
  return true;
}

async function send(file, line) {
  if (file.size > Number(form.dataset.most)) {
    said(line, `It is too large: a receipt has at most ${form.dataset.mostWords}.`, "text-danger-emphasis");
    return settle();
  }
  said(line, "It is being sent \u2026");
  const body = new FormData();
  body.set("file", file);
  let kept;
  try {
    kept = await ask("/receipts", { method: "POST", body });
  } catch (problem) {
    said(line, problem.message, "text-danger-emphasis");
    return settle();
  }
  const name = line.parentElement.querySelector("[data-name]");
  name.replaceChildren(element("a", { href: `/receipts/${kept.id}` }, file.name));
  if (!kept.new) name.append(element("span", { class: "small text-body-secondary" }, " is here already"));
  if (tell(kept, line)) return settle();
  reading = reading
    .then(() => poll(`/receipts/${kept.id}/state`, (now) => tell(now, line), 0.7))
    .catch((problem) => said(line, problem.message, "text-danger-emphasis"))
    .finally(settle);
  return undefined;
}

function take(files) {
  if (files.length) list.hidden = false; // text may be dropped, too
  for (const file of files) {
    const line = element("div", { class: "sent-said" });
    list.append(element("li", {}, element("span", { class: "sent-name", "data-name": true }, file.name), line));
    said(line, "It waits for its turn.");
    waiting += 1;
    sending = sending.then(() => send(file, line));
  }
}

form.elements.file.multiple = true;
form.elements.file.addEventListener("change", () => {
  take(form.elements.file.files);
  form.reset();
});
form.querySelector("button[type=submit]").hidden = true; // what is chosen is sent
for (const kind of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(kind, (event) => {
    event.preventDefault();
    form.classList.toggle("upload-over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}
