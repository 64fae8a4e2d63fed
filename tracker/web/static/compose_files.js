// Files: by the button or dragged in, with progress and a way to stop; too large ones are refused before they travel.
import { make } from "./make.js";

export function takeFiles(form, { save, formData, say, editor }) {
  const words = form.dataset, files = form.querySelector("[data-files]");

  function fits(list) {
    const kept = [...files.querySelectorAll("[data-size]")].reduce((sum, li) => sum + Number(li.dataset.size), 0);
    const total = [...list].reduce((sum, file) => sum + file.size, kept), limit = Number(words.maxBytes);
    if (total <= limit) return true;
    const size = Math.ceil(total / 1048576), most = Math.floor(limit / 1048576);
    complain(words.wordLarge.replace("{size}", size).replace("{limit}", most));
    return false;
  }
  async function attach(list) {
    if (!list.length || !fits(list)) return;
    say(words.wordUploading);
    const line = progressLine([...list].map((file) => file.name).join(", "));
    await save();
    const data = formData({ do: "attach" });
    for (const file of list) data.append("files", file);
    await change(data, line);
    say("");
  }
  async function change(data, line) {
    const { status, text } = await travel("files", data, line);
    line?.item.remove();
    if (status === 200 || status === 422) files.innerHTML = text;
    else if (status !== -1) complain(words.wordLost);
  }
  // fetch() tells nothing of an upload on its way. Status 0: no answer; -1: stopped.
  function travel(part, data, line) {
    return new Promise((done) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${form.getAttribute("action")}?part=${part}`);
      request.upload.addEventListener("progress", ({ loaded, total }) => {
        if (line) line.bar.value = loaded / total;
      });
      request.addEventListener("load", () => done({ status: request.status, text: request.responseText }));
      request.addEventListener("error", () => done({ status: 0, text: "" }));
      request.addEventListener("abort", () => done({ status: -1, text: "" }));
      line?.stop.addEventListener("click", () => request.abort());
      if (line?.stopped) { done({ status: -1, text: "" }); return; }
      request.send(data);
    });
  }
  function progressLine(name) {
    const list = files.querySelector("ul") ?? files.appendChild(document.createElement("ul"));
    const item = list.appendChild(make("li", { className: "is-uploading" }));
    item.append(make("span", { className: "compose-file-name", textContent: name }));
    const bar = item.appendChild(make("progress", { max: 1, value: 0 }));
    bar.setAttribute("aria-label", `${words.wordUploading} ${name}`);
    const stop = item.appendChild(make("button", { type: "button", className: "button quiet bare", textContent: "×" }));
    stop.setAttribute("aria-label", words.wordStop.replace("{what}", name));
    const line = { item, bar, stop, stopped: false };
    stop.addEventListener("click", () => { line.stopped = true; });
    return line;
  }
  async function upload(file) {  // a picture for the text: its address in the draft
    if (!fits([file])) return null;
    say(words.wordUploading);
    await save();
    const data = formData({ do: "picture" });
    data.set("picture", file);
    const { status, text } = await travel("picture", data);
    say("");
    if (status !== 200 && status !== 422) { complain(words.wordLost); return null; }
    const answer = JSON.parse(text);
    if (answer.error) complain(answer.error);
    return answer.src ?? null;
  }
  function complain(text) {
    files.querySelector(".wrong")?.remove();
    const line = files.appendChild(make("p", { className: "wrong", textContent: text }));
    line.setAttribute("role", "alert");
  }
  files.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || button.type === "button") return;
    event.preventDefault();
    change(formData({ do: button.value }));
  });
  const card = form.querySelector(".compose-card");
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  function drop(event) {  // pictures dropped on the text become part of it, everything else is attached
    const list = [...event.dataTransfer.files], inText = editor()?.place.contains(event.target);
    const pictures = inText ? list.filter((file) => /^image\/(png|jpeg|gif|webp)$/.test(file.type)) : [];
    if (pictures.length) editor().insertPictures(pictures);
    attach(list.filter((file) => !pictures.includes(file)));
  }
  for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]])
    card.addEventListener(name, (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      event.stopPropagation();
      card.classList.toggle("is-dropping", over);
      if (name === "drop") drop(event);
    }, { capture: true });
  return { upload, attach };
}
