// The settings: what a promise means while it is typed, and how far a trial of one got.
import { poll } from "../api.js";
import { complain } from "../dom.js";

const number = new Intl.NumberFormat("en");

// As `at_most_wrong` of the server says it.
function atMost(promise) {
  if (promise >= 100) return "None may be wrong, which no number of answers can prove: nearly everything goes to a person.";
  for (const base of [100, 1000, 10000]) {
    const wrong = (1 - promise / 100) * base;
    if (Math.round(wrong) && Math.abs(wrong - Math.round(wrong)) < 1e-6) {
      return `Of ${number.format(base)} records that are sorted automatically, at most ${number.format(Math.round(wrong))} may be wrong.`;
    }
  }
  return `Of 10,000 records that are sorted automatically, at most ${((1 - promise / 100) * 10000).toFixed(1)} may be wrong.`;
}

for (const place of document.querySelectorAll("[data-at-most]")) {
  const input = document.getElementById(place.dataset.atMost);
  input.addEventListener("input", () => {
    const text = input.value.replace("%", "").trim();
    const promise = Number(text);
    if (text && promise >= 0 && promise <= 100) place.textContent = atMost(promise);
  });
}

document.querySelector("[data-focus]")?.focus();

const trial = document.querySelector("[data-trial]");
if (trial) {
  const bar = trial.querySelector("progress");
  poll(`/settings/promise/trials/${trial.dataset.trial}/state`, ({ state, asked, of, ended }) => {
    if (ended) {
      location.reload();
      return true;
    }
    trial.querySelector("[data-state]").textContent = `It ${state}`;
    trial.querySelector("[data-asked]").textContent = number.format(asked);
    trial.querySelector("[data-of]").textContent = of ? number.format(of) : "–";
    bar.max = of || 1;
    bar.value = asked;
    return false;
  }).catch(complain);
}
