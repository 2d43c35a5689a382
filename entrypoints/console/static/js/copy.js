// <button data-copy="id" hidden>: copies the text of what has that id, and says so in the [data-copied] beside it.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue; // only where the address is https, or this machine
  const text = document.getElementById(button.dataset.copy);
  const said = button.parentElement.querySelector("[data-copied]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser let nothing be copied: select it, and copy it yourself.";
    }
  });
}
