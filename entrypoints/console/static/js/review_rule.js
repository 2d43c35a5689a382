// A rule out of a decision: its condition in text, what it would change, and both made at once.
import { ask } from "./api.js";
import { finder } from "./choice.js";
import { element } from "./dom.js";

const PAUSE = 350;
const number = (n, what) => `${n.toLocaleString()} ${what}${n === 1 ? "" : "s"}`;

function told(effects) {
  const parts = [`Matches ${number(effects.matched, "record")} of the latest ${effects.seen.toLocaleString()}`];
  if (effects.newly_decided) parts.push(`${effects.newly_decided.toLocaleString()} that wait would be decided`);
  if (effects.changed) parts.push(`${effects.changed.toLocaleString()} would change`);
  if (effects.contradicting) parts.push(`people decided ${effects.contradicting.toLocaleString()} of them otherwise`);
  return `${parts.join("; ")}.`;
}

// Resolves to {categoryId, ruleId} when both were made, to null when the person leaves it.
export async function ruleDialog({ item, categoryId, categories, paths }) {
  let chosen = categoryId;
  const draft = await ask(`/review/items/${item.id}/rule${chosen ? `?category_id=${chosen}` : ""}`);
  return new Promise((resolve) => {
    let timer = 0;
    let running = null;
    let made = null;
    const name = element("input", { id: "rule-name", class: "form-control mb-3", value: draft.name, required: true, maxlength: "120" });
    const text = element("textarea", { id: "rule-text", class: "form-control font-monospace", rows: "3", spellcheck: "false", "aria-describedby": "rule-says" });
    text.value = draft.text;
    const says = element("p", { id: "rule-says", class: "form-text", role: "status" }, "Looking …");
    const gives = element("p", { class: "mb-1" });
    const submit = element("button", { class: "btn btn-primary", type: "submit" }, "Decide, and make the rule");
    const show = () => gives.replaceChildren("Gives ", element("strong", {}, paths.get(chosen) || "a category that you choose"));
    const find = finder(categories, { label: "Another category", take: (option) => ((chosen = option.id), show(), look()) });

    async function look() {
      running?.abort();
      running = new AbortController();
      submit.disabled = true;
      if (!chosen) return void (says.textContent = "Choose a category.");
      says.textContent = "Looking …";
      try {
        const body = { rules: [{ name: name.value || "?", when: text.value, then: { category: chosen } }] };
        says.textContent = told(await ask("/review/preview", { method: "POST", body, signal: running.signal }));
        says.classList.remove("text-danger");
        submit.disabled = false;
      } catch (problem) {
        if (problem.name === "AbortError") return undefined;
        says.textContent = problem.message;
        says.classList.add("text-danger");
      }
      return undefined;
    }

    const form = element(
      "form", { class: "card-body" },
      element("h2", { class: "h5", id: "rule-title" }, "Make a rule"),
      element("label", { class: "form-label", for: "rule-name" }, "Name"), name,
      element("label", { class: "form-label", for: "rule-text" }, "When"), text, says, gives, find.box,
      element("div", { class: "d-flex gap-2 mt-3" }, submit, element("button", { class: "btn btn-outline-secondary", type: "button", onclick: () => dialog.close() }, "Leave it")),
    );
    const dialog = element("dialog", { class: "card", "aria-labelledby": "rule-title" }, form);
    dialog.addEventListener("close", () => {
      running?.abort();
      clearTimeout(timer);
      dialog.remove();
      resolve(made);
    });
    text.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(look, PAUSE);
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      const verdict = chosen === item.suggested_id ? { verdict: "approve" } : { verdict: "override", category_id: chosen };
      try {
        const said = await ask(`/review/items/${item.id}/rule`, { method: "POST", body: { ...verdict, rule: { name: name.value, when: text.value } } });
        made = { categoryId: chosen, ruleId: said.rule_id };
        dialog.close();
      } catch (problem) {
        says.textContent = problem.message;
        says.classList.add("text-danger");
        submit.disabled = false;
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    text.focus();
    show();
    look();
  });
}
