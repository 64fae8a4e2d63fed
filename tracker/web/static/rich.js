// Rich text outside of a message: templates and signatures. Pictures stay inside the text as data.
import { makeEditor } from "./compose_editor.js";

const LARGEST_DATA = 150_000;

for (const form of document.querySelectorAll("[data-rich]")) {
  const editor = makeEditor(form, () => {}, asData);
  if (!editor) continue;
  form.classList.add("rich-ready");
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (button) editor.insertText(button.dataset.insert);
  });
}

function asData(file) {
  if (file.size > LARGEST_DATA) {
    alert(`${file.name}: ${Math.ceil(file.size / 1024)} KB > ${Math.floor(LARGEST_DATA / 1024)} KB`);
    return null;
  }
  return new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => done(null);
    reader.readAsDataURL(file);
  });
}
