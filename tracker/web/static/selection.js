// Selecting rows: x, a click, a range by Shift; the count; and what was selected stays so when the list is renewed.
import { areOn, isTyping } from "./single_keys.js";

const form = document.querySelector("[data-selection]"), list = document.querySelector("[data-list]");
const count = form.querySelector("[data-selection-count]"), all = form.querySelector("[data-select-all]");
const boxes = () => [...list.querySelectorAll("[data-select]")];
let chosen = new Set(), last = null;

function note() {
  chosen = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  count.value = chosen.size || "";
}

list.addEventListener("click", (event) => {
  const box = event.target.closest(".row-select")?.querySelector("input");
  if (!box || event.target !== box) return;
  const shown = boxes(), from = shown.findIndex(({ value }) => value === last), to = shown.indexOf(box);
  if (event.shiftKey && from >= 0)
    for (const between of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) between.checked = box.checked;
  last = box.value;
  note();
});
form.addEventListener("reset", () => setTimeout(note));
all.hidden = false;
all.addEventListener("click", () => { for (const box of boxes()) box.checked = true; note(); });

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && chosen.size && !event.defaultPrevented) { form.reset(); return; }
  if (event.key !== "x" || isTyping(event) || !areOn()) return;
  document.activeElement.closest("[data-row]")?.querySelector("[data-select]")?.click();
});

list.addEventListener("inkling:live", () => {
  for (const box of boxes()) box.checked = chosen.has(box.value);
  note();
});
note();
