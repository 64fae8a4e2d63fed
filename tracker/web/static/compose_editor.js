// The rich text editor: Squire with a toolbar that works by keyboard. Without it the plain box stays.
const MADE_OF = { bold: ["B", "removeBold", "bold"], italic: ["I", "removeItalic", "italic"], underline: ["U", "removeUnderline", "underline"],
  bullets: ["UL", "removeList", "makeUnorderedList"], numbers: ["OL", "removeList", "makeOrderedList"] };

export function makeEditor(form, changed) {
  const place = form.querySelector("[data-editor]"), tools = form.querySelector("[data-tools]");
  const plain = form.querySelector("[data-text]"), html = form.querySelector("[data-html]");
  if (!globalThis.Squire || !globalThis.DOMPurify) return null;
  plain.hidden = true;
  place.hidden = tools.hidden = false;
  form.querySelector("[data-format]").value = "html";
  const editor = new Squire(place, { blockTag: "DIV" });
  editor.setHTML(html.value);
  editor.moveCursorToStart();
  if (form.querySelector("#to").closest(".compose-value").querySelector("input").value === "" && !html.value.includes("blockquote")) form.querySelector("#to").focus();
  const buttons = [...tools.querySelectorAll("[data-tool]")];

  function act(tool) {
    const [tag, off, on] = MADE_OF[tool] ?? [];
    if (tag) editor[editor.hasFormat(tag) ? off : on]();
    else if (tool === "quote") editor.increaseQuoteLevel();
    else if (tool === "plain") editor.removeAllFormatting();
    else link();
    editor.focus();
    mark();
  }
  function link() {
    if (editor.hasFormat("A")) { editor.removeLink(); return; }
    const range = editor.getSelection(), typed = prompt(form.dataset.wordLink, "https://")?.trim();
    if (!typed || typed === "https://") return;
    editor.setSelection(range);
    editor.makeLink(/^[a-z][a-z\d+.-]*:/i.test(typed) ? typed : typed.includes("@") ? `mailto:${typed}` : `https://${typed}`);
  }
  function mark() {
    for (const button of buttons)
      if (MADE_OF[button.dataset.tool] || button.dataset.tool === "link")
        button.setAttribute("aria-pressed", editor.hasFormat(MADE_OF[button.dataset.tool]?.[0] ?? "A"));
  }

  tools.addEventListener("mousedown", (event) => event.preventDefault());  // the selection stays
  tools.addEventListener("click", (event) => { const button = event.target.closest("[data-tool]"); if (button) act(button.dataset.tool); });
  tools.addEventListener("keydown", (event) => {  // one stop of Tab, arrows inside (ARIA toolbar)
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length);
    buttons.forEach((button) => { button.tabIndex = button === next ? 0 : -1; });
    next.focus();
  });
  const isMac = navigator.platform.startsWith("Mac"), mod = isMac ? "Meta" : "Ctrl";
  editor.setKeyHandler(`${mod}-k`, (self, event) => { event.preventDefault(); act("link"); });
  editor.setKeyHandler("Tab", null);
  editor.setKeyHandler("Shift-Tab", null);
  editor.addEventListener("pathChange", mark);
  editor.addEventListener("input", changed);
  form.addEventListener("formdata", ({ formData }) => formData.set("html", editor.getHTML()));
  return { write() { html.value = editor.getHTML(); } };
}
