// <select data-zone-guess>: the browser's own time zone, unless another one was already chosen.
const select = document.querySelector("select[data-zone-guess]");
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
const isKnown = () => [...select.options].some((option) => option.value === here);
if (select?.value === "UTC" && isKnown()) select.value = here;
