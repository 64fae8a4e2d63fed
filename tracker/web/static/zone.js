// <select data-zone-guess>: the browser's own time zone, unless another one was already chosen.
const select = document.querySelector("select[data-zone-guess]");
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (select && select.value === "UTC" && [...select.options].some((option) => option.value === here)) select.value = here;
