// <input data-code-from-link>: the code behind the # of a one-time link, which no server ever sees in an address.
const field = document.querySelector("[data-code-from-link]");
if (field && location.hash.length > 1) {
  field.value = location.hash.slice(1);
  field.closest(".field").hidden = true;
  history.replaceState(null, "", location.pathname);
  document.querySelector("#password").focus();
}
