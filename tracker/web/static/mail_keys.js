// The list by keyboard: j and k move, o opens, r replies; and the manners of the filter.
import { areOn, isTyping } from "./single_keys.js";

const list = document.querySelector("[data-list]");
const filter = document.querySelector("[data-filter]");

// --- j and k move, o opens, r replies
document.addEventListener("keydown", (event) => {
  if (isTyping(event) || !areOn()) return;
  const all = [...list.querySelectorAll("[data-row]")];
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const go = (row) => { row?.querySelector(".mail-open").focus(); row?.scrollIntoView({ block: "nearest" }); };
  if (event.key === "j") go(all[at < 0 ? 0 : at + 1]);
  else if (event.key === "k") go(all[at < 0 ? 0 : Math.max(0, at - 1)]);
  else if (event.key === "o" && at >= 0) all[at].querySelector(".mail-open").click();
  else if (event.key === "r" && at >= 0) location.href = all[at].dataset.reply;
  else return;
  event.preventDefault();
});

// --- the filter: Escape and a click elsewhere close it, empty fields stay out of the address
filter.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !filter.open) return;
  filter.open = false;
  filter.querySelector("summary").focus();
});
filter.addEventListener("toggle", () => { if (filter.open) filter.querySelector("input").focus(); });
document.addEventListener("click", (event) => {
  if (filter.open && !filter.contains(event.target)) filter.open = false;
});
filter.querySelector("[data-filter-form]").addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
