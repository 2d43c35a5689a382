// What a new key may do: chosen by a click where many ask for the same, and counted. The day is asked for where it
// matters.
const form = document.getElementById("new-key");
const boxes = [...form.querySelectorAll("[name=scopes]")];
const SENDS = ["records:write", "receipts:write", "records:read", "connections:read"];
const PRESETS = {
  read: (scope) => scope.endsWith(":read"),
  send: (scope) => SENDS.includes(scope),
  none: () => false,
};
const counted = form.querySelector("[data-count]");
const count = () => {
  const chosen = boxes.filter((box) => box.checked).length;
  counted.textContent = `${chosen} of ${boxes.length} chosen`;
};

for (const button of form.querySelectorAll("[data-preset]")) {
  button.addEventListener("click", () => {
    for (const box of boxes) box.checked = PRESETS[button.dataset.preset](box.value);
    count();
  });
}
form.querySelector("[data-presets]").hidden = false;
form.addEventListener("change", count);
count();

const lasts = form.querySelector("#lasts");
const day = form.querySelector("[data-day]");
const ask = () => {
  day.hidden = lasts.value !== "day";
  day.querySelector("input").required = !day.hidden;
};
lasts.addEventListener("change", ask);
ask();
