// Address and text of a link, beside it: Enter saves, Escape leaves everything as it was.
export function linkBubble(bubble, editor, changed) {
  const url = bubble.querySelector("[data-link-url]"), words = bubble.querySelector("[data-link-words]");
  const remove = bubble.querySelector("[data-link-remove]");
  let range, link;
  const hide = () => { bubble.hidden = true; url.value = ""; };
  const close = () => { hide(); editor.setSelection(range); editor.focus(); };
  function open(selected, linkThere) {
    range = selected;
    link = linkThere;
    url.value ||= link?.getAttribute("href") ?? "";  // unless somebody has begun to type
    words.value = link?.textContent ?? String(range);
    remove.hidden = !link;
    bubble.hidden = false;
    const at = (link ?? range).getBoundingClientRect(), around = bubble.offsetParent.getBoundingClientRect();
    const left = Math.min(at.left - around.left, around.width - bubble.offsetWidth - 8);
    bubble.style.left = `${Math.max(8, left)}px`;
    if (at.height) bubble.style.top = `${at.bottom - around.top + 6}px`;
  }
  function save() {
    const typed = url.value.trim(), text = words.value.trim();
    close();
    if (!typed) return;
    const scheme = /^[a-z][a-z\d+.-]*:/i.test(typed) ? "" : typed.includes("@") ? "mailto:" : "https://";
    if (link) {
      editor.saveUndoState();
      link.href = scheme + typed;
      if (text && text !== link.textContent) link.textContent = text;
    } else if (text && text !== String(range)) {
      const made = Object.assign(document.createElement("a"), { href: scheme + typed, textContent: text });
      editor.insertHTML(made.outerHTML);
    } else editor.makeLink(scheme + typed);
    changed();
  }
  bubble.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) save();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  bubble.querySelector("[data-link-save]").addEventListener("click", save);
  remove.addEventListener("click", () => { close(); editor.removeLink(); changed(); });
  bubble.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !bubble.contains(relatedTarget)) hide();
  });
  return { open };
}
