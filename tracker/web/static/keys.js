// Single keys: an element with data-key="c" is pressed (or, being a field, gets the focus) when its key is pressed.
// They can be switched off in the list that "?" opens (WCAG 2.1.4).
const list = document.querySelector("[data-keys]");
const choice = list?.querySelector("[data-keys-switch]");
const isOn = () => localStorage.getItem("inkling-keys") !== "off";

const isTyping = (event) =>
  event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing
  || event.target.closest?.("input, textarea, select, [contenteditable], dialog") !== null && event.target.closest !== undefined;

document.addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  if (event.key === "?" && list) {
    event.preventDefault();
    choice.checked = isOn();
    list.showModal();
    return;
  }
  const target = isOn() && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  if (target.matches("input, textarea")) { target.focus(); target.select(); } else target.click();
});

choice?.addEventListener("change", () => localStorage.setItem("inkling-keys", choice.checked ? "on" : "off"));
