// A file is sent as it is dropped or chosen, and one goes to where it is seen being sorted.
import { ask } from "./api.js";

const form = document.querySelector("[data-upload]");

async function send(file) {
  const says = form.querySelector("[data-upload-says]");
  if (file.size > Number(form.dataset.most)) {
    says.textContent = `${file.name} is larger than what is taken at once.`;
    return;
  }
  const button = form.querySelector("button");
  button.disabled = true;
  says.textContent = `Sending ${file.name} …`;
  const body = new FormData();
  body.set("file", file);
  try {
    const said = await ask("/imports", { method: "POST", body });
    location.assign(said.to);
  } catch (problem) {
    says.textContent = problem.message;
    button.disabled = false;
  }
}

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [file] = form.elements.file.files;
    if (file) send(file);
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    form.addEventListener(kind, (event) => {
      event.preventDefault();
      form.classList.toggle("upload-over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
    });
  }
}
