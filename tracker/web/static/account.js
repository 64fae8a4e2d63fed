// Accounts: server fields only for "another server", IMAP fields only when wanted; the login follows the address.
const form = document.querySelector("form[data-presets]");
const preset = form.querySelector("[data-preset]"), imap = form.querySelector("[data-imap]");
const helps = JSON.parse(form.dataset.presets);

function show() {
  for (const part of form.querySelectorAll("[data-for-other]")) part.hidden = preset.value !== "other";
  form.querySelector("[data-for-imap]").hidden = !imap.checked;
  form.querySelector("[data-for-own-copy]").hidden = !form.dataset.ownCopy.split(" ").includes(preset.value);
  document.getElementById("preset-hint").textContent = helps[preset.value];
}
form.addEventListener("change", show);
show();

const login = form.querySelector("[data-follows]"), address = form.querySelector(`[name="${login.dataset.follows}"]`);
let follows = !login.value;
login.addEventListener("input", () => { follows = !login.value; });
address.addEventListener("input", () => { if (follows) login.value = address.value; });
