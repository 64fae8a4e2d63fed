// Drafts that save themselves, who will be tracked, sending by keys.
import { chipsFor, dressChips } from "./compose_chips.js";
import { makeEditor } from "./compose_editor.js";

const form = document.querySelector("[data-compose]");
const words = form.dataset, saved = form.querySelector("[data-saved]");
const picker = form.querySelector("[data-file]");
form.classList.add("has-scripts");

const say = (text) => { saved.textContent = text; };
// What handles files comes with the first key, click or drag.
let files;
const loadFiles = () => (files ??= import("./compose_files.js").then(
  ({ takeFiles }) => takeFiles(form, { save, formData, say, editor: () => editor })));
for (const deed of ["keydown", "pointerdown", "dragenter"]) form.addEventListener(deed, loadFiles, { once: true });
picker.addEventListener("change", async () => {
  const list = [...picker.files];
  picker.value = "";
  (await loadFiles()).attach(list);
});
const editor = makeEditor(form, changed, async (file) => (await loadFiles()).upload(file));
const chips = [...form.querySelectorAll("[data-chips]")].map((input) => chipsFor(input, changed, words));
function formData(more = {}) {
  editor?.write();
  const data = new FormData(form);
  data.delete("files");
  for (const [name, value] of Object.entries(more)) data.set(name, value);
  return data;
}
form.addEventListener("input", ({ target }) => { if (target.matches("[data-chips]")) import("./compose_people.js"); });
const to = form.querySelector("#to"), answers = form.querySelector("[data-html]").value.includes("blockquote");
if (to.value === "" && !form.querySelector(".person") && !answers) to.focus();

// --- each account signs in its own way
form.querySelector("#account")?.addEventListener("change", ({ target }) => {
  const signed = editor?.place.querySelector(".signature"), signature = target.selectedOptions[0].dataset.signature;
  if (!signed || !signature) return;
  signed.replaceChildren(signed.firstElementChild, DOMPurify.sanitize(signature, { RETURN_DOM_FRAGMENT: true }));
  changed();
});

// --- drafts save themselves, one save at a time
const snapshot = () => JSON.stringify([...formData()].filter(([, value]) => typeof value === "string"));
let dirty = false, saving = null, timer, planTimer, gone = false, last = snapshot();
function changed() {
  if (!dirty && snapshot() === last) return;  // a form that nobody touched is no draft
  dirty = true;
  clearTimeout(timer);
  timer = setTimeout(save, 2000);
  clearTimeout(planTimer);
  planTimer = setTimeout(plan, 350);
}
function save() {
  if (gone) return saving;
  clearTimeout(timer);
  last = snapshot();
  saving = (saving ?? Promise.resolve()).then(() => post("save", "saved").then(async (answer) => {
    if (!answer.ok) throw new Error(answer.status);
    const { draft, at } = await answer.json();
    settle(draft);
    saved.textContent = draft ? words.wordSaved.replace("{at}", at) : "";
  })).catch(() => {
    dirty = true;
    saved.textContent = words.wordLost;
    timer = setTimeout(save, 5000);
  });
  return saving;
}
function settle(draft) {
  const path = draft ? `/compose/${draft}` : "/compose";
  if (form.getAttribute("action") === path) return;
  form.setAttribute("action", path);
  history.replaceState(null, "", path);
}
function post(act, part, more) {
  if (act === "save") dirty = false;
  return fetch(`${form.getAttribute("action")}?part=${part}`, { method: "POST", body: more ?? formData({ do: act }) });
}

// --- who will be tracked
async function plan() {
  const place = form.querySelector("[data-plan]");
  const sent = formData({ typing: chips.map((one) => one.typing()).join("") });
  const answer = await fetch("/compose/plan", { method: "POST", body: sent }).catch(() => null);
  if (!answer?.ok) return;
  const active = place.contains(document.activeElement) ? document.activeElement : null;
  const focused = active?.name ?? "", caret = active?.type === "text" ? active.selectionStart : null;
  if (caret !== null && active.value !== sent.get(focused)) return;  // typed on while we asked
  const open = place.querySelector("details")?.open;
  place.innerHTML = await answer.text();
  if (open) place.querySelector("details")?.setAttribute("open", "");
  const again = focused ? place.querySelector(`[name="${focused}"]`) : null;
  again?.focus();
  if (caret !== null) again?.setSelectionRange(caret, caret);
  dressChips(chips, place);
}
dressChips(chips, form.querySelector("[data-plan]"));
form.addEventListener("input", (event) => { if (event.target !== picker) changed(); });
form.addEventListener("change", (event) => { if (event.target !== picker && event.target.type !== "text") changed(); });

// --- sending: after the last save, so that nothing saves a message that is gone
form.addEventListener("submit", (event) => {
  if (event.defaultPrevented || gone) return;
  event.preventDefault();
  const by = event.submitter;
  clearTimeout(timer);
  editor?.write();
  chips.forEach((one) => one.commit());
  const again = () => { gone = true; dirty = false; by ? form.requestSubmit(by) : form.submit(); };
  // Later: a form that is just being submitted ignores requestSubmit().
  (saving ?? Promise.resolve()).finally(() => setTimeout(again));
});
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  if (event.ctrlKey || event.metaKey) { event.preventDefault(); form.requestSubmit(form.querySelector("[data-send]")); }
  else if (event.target.matches("input:not([type=file])")) event.preventDefault();  // Enter in a field sends nothing
});
addEventListener("pageshow", () => { gone = false; });
addEventListener("beforeunload", (event) => { if (dirty && !gone) event.preventDefault(); });
