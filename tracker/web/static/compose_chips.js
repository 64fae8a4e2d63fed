// Addresses as chips, each with what its person agreed to. The field itself stays the truth: chips write into it.
import { make } from "./make.js";

const ADDRESSES = /(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,;\n"<])+/g;
const MOST_SHOWN = 12;
const split = (text) => text.match(ADDRESSES)?.map((one) => one.trim()).filter(Boolean) ?? [];
const addressOf = (text) => (text.match(/<([^>]+)>/)?.[1] ?? text).trim().toLowerCase();
const nameOf = (text) =>
  text.replace(/<[^>]*>/, "").replaceAll('"', "").replace(/\\(.)/g, "$1").trim() || addressOf(text);

export function chipsFor(input, changed, { wordRemove: removeWord, wordMore: moreWord }) {
  const box = input.parentElement;
  const kept = make("input", { type: "hidden", name: input.name });
  input.removeAttribute("name");
  box.append(kept);
  let all = [], isFolded = true;
  const write = () => { kept.value = [...all, input.value.trim()].filter(Boolean).join(", "); };

  function draw() {
    box.querySelectorAll(".person, .person-more").forEach((one) => one.remove());
    const most = isFolded && all.length > MOST_SHOWN + 2 ? MOST_SHOWN : all.length;
    for (const text of all.slice(all.length - most)) {
      const chip = make("span", { className: "person", title: addressOf(text) });
      chip.dataset.address = addressOf(text);
      chip.append(make("span", { className: "person-name", textContent: nameOf(text) }));
      const off = make("button", { type: "button", textContent: "×" });
      off.setAttribute("aria-label", removeWord.replace("{address}", nameOf(text)));
      off.addEventListener("click", () => { all = all.filter((one) => one !== text); input.focus(); done(); });
      chip.append(off);
      input.before(chip);
    }
    if (most === all.length) return;
    const more = make("button", { type: "button", className: "person-more", textContent: `+${all.length - most}` });
    more.setAttribute("aria-label", moreWord.replace("{count}", all.length - most));
    more.addEventListener("click", () => { isFolded = false; done(); input.focus(); });
    (box.querySelector(".person") ?? input).before(more);
  }
  function done() { write(); draw(); changed(); }
  function commit() {
    const fresh = split(input.value);
    input.value = "";
    if (fresh.length) { all = [...new Set([...all, ...fresh])]; done(); } else write();
  }

  input.addEventListener("input", () => { if (/[,;\n]\s*$/.test(input.value)) commit(); else write(); });
  input.addEventListener("blur", commit);
  input.addEventListener("keydown", (event) => {
    const isTyped = !event.ctrlKey && !event.metaKey && !input.hasAttribute("aria-activedescendant");
    if (event.key === "Enter" && isTyped) { event.preventDefault(); commit(); }
    if (event.key === "Backspace" && !input.value && all.length) {
      event.preventDefault();
      input.value = all.pop();
      done();
    }
  });
  input.addEventListener("paste", (event) => {  // a field has one line
    const text = event.clipboardData.getData("text/plain").trim();
    if (!text.includes("@") || !/[,;\n\t]/.test(text)) return;
    event.preventDefault();
    input.value += "," + text.replace(/^([^\t@\n]+)\t(?:.*\t)?(\S+@\S+)/gm, '"$1" <$2>').replace(/[\n\t]/g, ",");
    commit();
  });
  box.addEventListener("click", (event) => { if (event.target === box) input.focus(); });
  all = split(input.value);
  input.value = "";
  write();
  draw();
  const correct = (address, meant) => {
    all = all.map((text) => (addressOf(text) === address ? text.replace(/[^\s<]+@[^\s>]+/, meant) : text));
    done();
  };
  return { box, commit, correct, typing: () => input.value.trim() };
}

// The plan knows who is tracked and why; its icons and colours go onto the chips.
export function dressChips(chips, plan) {
  for (const button of plan.querySelectorAll("[data-slip]")) {
    button.hidden = false;
    button.onclick = () => chips.forEach((one) => one.correct(button.dataset.slip.toLowerCase(), button.dataset.meant));
  }
  for (const { box } of chips)
    for (const chip of box.querySelectorAll(".person")) {
      const line = plan.querySelector(`[data-person="${CSS.escape(chip.dataset.address)}" i]`);
      chip.classList.toggle("good", line?.className === "good");
      chip.classList.toggle("bad", !line);
      chip.title = line ? `${chip.dataset.address}: ${line.dataset.why}` : chip.dataset.address;
      chip.querySelector("svg")?.remove();
      const icon = line?.querySelector("svg")?.cloneNode(true);
      if (icon) chip.prepend(icon);
    }
}
