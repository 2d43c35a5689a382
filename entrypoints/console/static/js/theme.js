// Runs before anything is painted: dark where the person, or their system, says so.
const media = window.matchMedia("(prefers-color-scheme: dark)");

function applyTheme() {
  const chosen = document.documentElement.dataset.theme || "auto";
  const dark = chosen === "dark" || (chosen === "auto" && media.matches);
  document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
}

media.addEventListener("change", applyTheme);
applyTheme();
