// Choosing rules for a run: a long list is narrowed by typing, and choosing one means these alone.
const list = document.querySelector(".choose-rules");
const narrow = document.getElementById("narrow");

narrow.classList.remove("d-none");
narrow.addEventListener("input", () => {
  const typed = narrow.value.trim().toLowerCase();
  for (const row of list.children) row.hidden = Boolean(typed) && !row.textContent.toLowerCase().includes(typed);
});
narrow.addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault();
});
list.addEventListener("change", () => {
  document.getElementById("which-chosen").checked = true;
});
document.getElementById("start")?.scrollIntoView({ block: "nearest" });
if (document.getElementById("start")) document.getElementById("preview-head").focus();
