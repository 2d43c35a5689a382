// A page that shows something once: it is copied by a button, and reloading the page asks for nothing anew, since its
// address is that of the page that comes next.
const shown = document.querySelector("[data-once]");
history.replaceState(null, "", shown.dataset.once);

for (const button of shown.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue; // only where the address is https, or this machine
  const text = document.getElementById(button.dataset.copy);
  const said = shown.querySelector("[data-copied]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser let nothing be copied: select it, and copy it yourself.";
    }
  });
  button.focus();
}
