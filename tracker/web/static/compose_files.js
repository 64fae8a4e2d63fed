// Files: by the button or dragged in; too large ones are refused before they travel.
export function takeFiles(form, { save, post, formData, say }) {
  const words = form.dataset, files = form.querySelector("[data-files]"), picker = form.querySelector("[data-file]");

  async function attach(list) {
    if (!list.length) return;
    const kept = [...files.querySelectorAll("[data-size]")].reduce((sum, li) => sum + Number(li.dataset.size), 0);
    const total = [...list].reduce((sum, file) => sum + file.size, kept), limit = Number(words.maxBytes);
    if (total > limit) return complain(words.wordLarge.replace("{size}", Math.ceil(total / 1048576)).replace("{limit}", Math.floor(limit / 1048576)));
    say(words.wordUploading);
    await save();
    const data = formData({ do: "attach" });
    for (const file of list) data.append("files", file);
    await change(data);
    say("");
  }
  async function change(data) {
    const answer = await post("files", "files", data).catch(() => null);
    if (answer?.ok || answer?.status === 422) files.innerHTML = await answer.text();
    else complain(words.wordLost);
  }
  function complain(text) {
    files.querySelector(".wrong")?.remove();
    const line = files.appendChild(Object.assign(document.createElement("p"), { className: "wrong", textContent: text }));
    line.setAttribute("role", "alert");
  }
  picker.addEventListener("change", () => { attach([...picker.files]); picker.value = ""; });
  files.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    event.preventDefault();
    change(formData({ do: button.value }));
  });
  const card = form.querySelector(".compose-card");
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]])
    card.addEventListener(name, (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      event.stopPropagation();
      card.classList.toggle("is-dropping", over);
      if (name === "drop") attach([...event.dataTransfer.files]);
    }, { capture: true });
}
