// The rich text editor: Squire with a toolbar that works by keyboard. Without it the plain box stays.
const MADE_OF = {
  bold: ["B", "removeBold", "bold"],
  italic: ["I", "removeItalic", "italic"],
  underline: ["U", "removeUnderline", "underline"],
  bullets: ["UL", "removeList", "makeUnorderedList"],
  numbers: ["OL", "removeList", "makeOrderedList"],
};
const LARGEST_DATA = 150_000;

// `upload` gives the address of a picture file; without it pictures stay inside the text as data.
export function makeEditor(form, changed, upload = asData) {
  const place = form.querySelector("[data-editor]"), tools = form.querySelector("[data-tools]");
  const plain = form.querySelector("[data-text]"), html = form.querySelector("[data-html]");
  const picker = tools.querySelector("[data-picture]");
  if (!globalThis.Squire || !globalThis.DOMPurify) return null;
  plain.hidden = true;
  place.hidden = tools.hidden = false;
  form.querySelector("[data-format]").value = "html";
  const editor = new Squire(place, { blockTag: "DIV" });
  editor.setHTML(html.value);
  editor.moveCursorToStart();
  const buttons = [...tools.querySelectorAll("[data-tool]")];
  const bubble = linkBubble(form.querySelector("[data-link-bubble]"), editor, () => linkAtCursor(), () => { changed(); mark(); });

  function act(tool) {
    const [tag, off, on] = MADE_OF[tool] ?? [];
    if (tool === "picture") { picker.click(); return; }
    if (tag) editor[editor.hasFormat(tag) ? off : on]();
    else if (tool === "quote") editor.increaseQuoteLevel();
    else if (tool === "plain") editor.removeAllFormatting();
    else if (tool === "untracked") leaveAlone();
    else { bubble.open(); return; }
    editor.focus();
    mark();
  }
  function linkAtCursor() {
    const { startContainer, startOffset } = editor.getSelection();
    const linkOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest("a");
    const link = linkOf(startContainer.childNodes[startOffset] ?? startContainer) ?? linkOf(startContainer);
    return link && place.contains(link) ? link : null;
  }
  function leaveAlone() {  // a mark on the link itself: it goes out as it was written
    const found = linkAtCursor();
    if (!found) return;
    editor.saveUndoState();
    found.toggleAttribute("data-no-track");
    changed();
  }
  function mark() {
    const here = linkAtCursor();
    for (const button of buttons) {
      const tool = button.dataset.tool;
      if (tool === "untracked") {
        button.setAttribute("aria-pressed", Boolean(here?.hasAttribute("data-no-track")));
        button.setAttribute("aria-disabled", !here);
      } else if (MADE_OF[tool] || tool === "link")
        button.setAttribute("aria-pressed", editor.hasFormat(MADE_OF[tool]?.[0] ?? "A"));
    }
  }
  async function insertPictures(files) {
    for (const file of files) {
      const src = await upload(file);
      if (src) editor.insertImage(src, { alt: file.name.replace(/\.[^.]*$/, ""), style: "max-width:100%" });
    }
    changed();
  }

  // The selection stays.
  tools.addEventListener("mousedown", (event) => { if (event.target !== picker) event.preventDefault(); });
  tools.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tool]");
    if (button) act(button.dataset.tool);
  });
  tools.addEventListener("keydown", (event) => {  // one stop of Tab, arrows inside (ARIA toolbar)
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length);
    buttons.forEach((button) => { button.tabIndex = button === next ? 0 : -1; });
    next.focus();
  });
  picker.addEventListener("change", () => { insertPictures([...picker.files]); picker.value = ""; });
  editor.addEventListener("pasteImage", ({ detail }) => {
    insertPictures([...detail.clipboardData.files].filter((file) => file.type.startsWith("image/")));
  });
  const isMac = navigator.platform.startsWith("Mac"), mod = isMac ? "Meta" : "Ctrl";
  editor.setKeyHandler(`${mod}-k`, (self, event) => { event.preventDefault(); act("link"); });
  editor.setKeyHandler(`${mod}-Shift-K`, (self, event) => { event.preventDefault(); act("untracked"); });
  editor.setKeyHandler("Tab", null);
  editor.setKeyHandler("Shift-Tab", null);
  editor.addEventListener("pathChange", mark);
  editor.addEventListener("select", mark);
  editor.addEventListener("input", changed);
  form.addEventListener("formdata", ({ formData }) => formData.set("html", editor.getHTML()));
  return { place, insertPictures, focus: () => editor.focus(), write() { html.value = editor.getHTML(); },
    insertText(text) { editor.insertPlainText(text, false); editor.focus(); } };
}

// Address and text of a link, beside it: Enter saves, Escape leaves everything as it was.
function linkBubble(bubble, editor, linkAtCursor, changed) {
  const url = bubble.querySelector("[data-link-url]"), words = bubble.querySelector("[data-link-words]");
  const remove = bubble.querySelector("[data-link-remove]");
  let range, link;
  const close = () => { bubble.hidden = true; editor.setSelection(range); editor.focus(); };
  function open() {
    range = editor.getSelection();
    link = linkAtCursor();
    url.value = link?.getAttribute("href") ?? "";
    words.value = link?.textContent ?? String(range);
    remove.hidden = !link;
    bubble.hidden = false;
    const at = (link ?? range).getBoundingClientRect(), around = bubble.offsetParent.getBoundingClientRect();
    const left = Math.min(at.left - around.left, around.width - bubble.offsetWidth - 8);
    bubble.style.left = `${Math.max(8, left)}px`;
    if (at.height) bubble.style.top = `${at.bottom - around.top + 6}px`;
    url.focus();
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
    if (relatedTarget && !bubble.contains(relatedTarget)) bubble.hidden = true;
  });
  return { open };
}

function asData(file) {
  if (file.size > LARGEST_DATA) {
    alert(`${file.name}: ${Math.ceil(file.size / 1024)} KB > ${Math.floor(LARGEST_DATA / 1024)} KB`);
    return null;
  }
  return new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => done(null);
    reader.readAsDataURL(file);
  });
}
