// The form of a report, of which only what goes together is shown; and a report while it is being made.
import { poll } from "./api.js";
import { complain } from "./dom.js";

const form = document.getElementById("report-form");

// data-with="name=one two": shown where the field of that name has one of these values.
function showWhatGoes() {
  const values = new FormData(form);
  for (const part of form.querySelectorAll("[data-with]")) {
    const [name, wanted] = part.dataset.with.split("=");
    part.hidden = !wanted.split(" ").includes(values.get(name) ?? "");
  }
}

function addRate(rates) {
  const row = rates.lastElementChild.cloneNode(true);
  const number = rates.children.length + 1;
  for (const [place, input] of row.querySelectorAll("input").entries()) {
    input.value = "";
    input.setAttribute("aria-label", `${place ? "Rate" : "Currency"} ${number}`);
  }
  rates.append(row);
  row.querySelector("input").focus();
}

if (form) {
  form.addEventListener("change", showWhatGoes);
  showWhatGoes();
  form.querySelector("[data-more-rates]")?.addEventListener("click", (event) => {
    event.preventDefault();
    addRate(form.querySelector(".rates"));
  });
  (form.querySelector("[aria-invalid=true]") || form.querySelector("[data-focus]"))?.focus();
}

const making = document.querySelector("[data-report]");
if (making) {
  const line = making.querySelector("[data-said]");
  poll(`/reports/${making.dataset.report}/state`, ({ said, ended }) => {
    if (ended) location.reload();
    else if (line.textContent !== said) line.textContent = said;
    return ended;
  }, 0.7).catch(complain);
}
