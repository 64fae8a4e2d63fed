// Rich text outside of a message: templates and signatures. Pictures stay inside the text as data.
import { makeEditor } from "./compose_editor.js";

for (const form of document.querySelectorAll("[data-rich]")) {
  const editor = makeEditor(form, () => {});
  if (!editor) continue;
  form.classList.add("rich-ready");
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (button) editor.insertText(button.dataset.insert);
  });
}
