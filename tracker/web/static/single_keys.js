// Single keys act unless somebody types, or has switched them off in the list that "?" opens (WCAG 2.1.4).
export const areOn = () => localStorage.getItem("inkling-keys") !== "off";
export const isTyping = (event) => event.defaultPrevented || event.isComposing
  || event.ctrlKey || event.metaKey || event.altKey
  || Boolean(event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], dialog[open]"))
    && !event.target.closest("dialog:not([open])");  // it has the focus until the next frame is drawn
