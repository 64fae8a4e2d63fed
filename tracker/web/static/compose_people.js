// Whom one writes to: what is typed is completed by people who are known, the last written to first.
import Combobox from "./vendor/combobox-nav.js";
import { make } from "./make.js";

function option({ value, name, address, label, agreed }) {
  const line = make("li", { role: "option", className: agreed ? "good" : "" });
  line.dataset.value = value;
  line.append(
    make("b", { textContent: name || address }),
    make("span", { textContent: name ? address : "" }),
    make("small", { textContent: label }),
  );
  return line;
}

function completed(input) {
  const list = make("ul", { role: "listbox", id: `${input.id}-known`, className: "menu-body known-people", hidden: true });
  list.setAttribute("aria-label", input.labels[0].textContent);
  document.querySelector("main").append(list);
  const combobox = new Combobox(input, list);
  let asked = "";

  function close() {
    asked = "";
    list.hidden = true;
    combobox.stop();
  }
  function open(people) {
    list.replaceChildren(...people.map(option));
    const at = input.closest(".compose-line").getBoundingClientRect();
    Object.assign(list.style, { left: `${at.left + scrollX}px`, top: `${at.bottom + scrollY}px`, width: `${at.width}px` });
    list.hidden = false;
    combobox.stop();
    combobox.start();
    if (!asked.includes("@")) combobox.navigate(1);  // an address being typed is not taken for another one
  }
  async function complete() {
    const typed = input.value.trim();
    if (typed.length < 2) return close();
    if (typed === asked) return;
    asked = typed;
    const answer = await fetch(`/compose/people?q=${encodeURIComponent(typed)}`).catch(() => null);
    const people = answer?.ok && await answer.json();
    if (!people || asked !== typed || input.value.trim() !== typed) return;  // meanwhile it was typed on, or taken as it was
    people.length ? open(people) : close();
  }
  input.addEventListener("input", complete);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || list.hidden) return;
    event.stopPropagation();
    close();
  });
  list.addEventListener("mousedown", (event) => event.preventDefault());  // the field keeps the focus
  list.addEventListener("combobox-commit", ({ target }) => {
    close();
    input.value = `${target.dataset.value}, `;
    input.dispatchEvent(new Event("input"));
  });
  if (document.activeElement === input) complete();
}

document.querySelectorAll("[data-chips]").forEach(completed);
