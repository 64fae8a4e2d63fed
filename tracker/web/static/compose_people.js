// Whom one writes to: what is typed is completed by people who are known, the last written to first.
import { make } from "./make.js";

const list = make("datalist", { id: "known-people" });
document.body.append(list);
let asked = "";

async function complete(input) {
  const typed = input.value.trim();
  if ([...list.options].some((option) => option.value === typed)) {  // chosen from the list: it becomes a chip
    input.value = `${typed}, `;
    input.dispatchEvent(new Event("input"));
    return;
  }
  if (typed.length < 2 || typed === asked) return;
  asked = typed;
  const answer = await fetch(`/compose/people?q=${encodeURIComponent(typed)}`).catch(() => null);
  if (!answer?.ok || asked !== typed) return;
  list.replaceChildren(...(await answer.json()).map((person) => make("option", person)));
}

for (const input of document.querySelectorAll("[data-chips]")) {
  input.setAttribute("list", list.id);
  input.addEventListener("input", () => complete(input));
}
if (document.activeElement.matches("[data-chips]")) complete(document.activeElement);
