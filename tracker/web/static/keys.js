// Single keys: an element with data-key="c" is pressed (or, being a field, gets the focus) when its key is pressed.
import { areOn, isTyping } from "./single_keys.js";

const list = document.querySelector("[data-keys]");
const choice = list?.querySelector("[data-keys-switch]");

document.addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  if (event.key === "?" && list) {
    event.preventDefault();
    choice.checked = areOn();
    list.showModal();
    return;
  }
  const target = areOn() && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  if (target.matches("input, textarea")) { target.focus(); target.select(); } else target.click();
});

// Ctrl+K, unless somebody has it already (the editor: a link). What is typed meanwhile is there when the script has come.
document.addEventListener("keydown", async (event) => {
  if (event.key !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.defaultPrevented) return;
  event.preventDefault();
  const palette = document.querySelector("[data-palette]");
  if (palette.open) return;
  palette.querySelector("input").value = "";
  palette.showModal();
  (await import("./palette.js")).fill();
});

choice?.addEventListener("change", () => localStorage.setItem("inkling-keys", choice.checked ? "on" : "off"));
