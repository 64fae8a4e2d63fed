// The rich text editor: Squire with a toolbar. Without it the plain box stays.
const MADE_OF = {
  bold: ["B", "removeBold", "bold"],
  italic: ["I", "removeItalic", "italic"],
  underline: ["U", "removeUnderline", "underline"],
  bullets: ["UL", "removeList", "makeUnorderedList"],
  numbers: ["OL", "removeList", "makeOrderedList"],
};

// `upload` gives the address of a file.
export function makeEditor(form, changed, upload) {
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

  function act(tool) {
    const [tag, off, on] = MADE_OF[tool] ?? [];
    if (tool === "picture") { picker.click(); return; }
    if (tag) editor[editor.hasFormat(tag) ? off : on]();
    else if (tool === "quote") editor.increaseQuoteLevel();
    else if (tool === "plain") editor.removeAllFormatting();
    else if (tool === "untracked") leaveAlone();
    else { openLink(); return; }
    editor.focus();
    mark();
  }
  const box = form.querySelector("[data-link-bubble]");
  let bubble;
  const loadBubble = () => (bubble ??= import("./compose_link.js").then(({ linkBubble }) =>
    linkBubble(box, editor, () => { changed(); mark(); })));
  place.addEventListener("focusin", loadBubble, { once: true });
  function openLink() {  // what is typed after Ctrl+K goes into the field at once
    const range = editor.getSelection(), link = linkAtCursor();
    box.hidden = false;
    box.querySelector("[data-link-url]").focus();
    loadBubble().then((made) => made.open(range, link));
  }
  function linkAtCursor() {
    const { startContainer, startOffset } = editor.getSelection();
    const linkOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest("a");
    const link = linkOf(startContainer.childNodes[startOffset] ?? startContainer) ?? linkOf(startContainer);
    return link && place.contains(link) ? link : null;
  }
  function leaveAlone() {  // a mark on the link itself
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

  // keeps the selection
  tools.addEventListener("mousedown", (event) => { if (event.target !== picker) event.preventDefault(); });
  tools.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tool]");
    if (button) act(button.dataset.tool);
  });
  tools.addEventListener("keydown", (event) => {  // as in an ARIA toolbar
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
