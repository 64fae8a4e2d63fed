// <select data-zone-guess>: the browser's own time zone, unless another one was already chosen; <input data-zone-guess>: that zone.
const field = document.querySelector("[data-zone-guess]");
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
const isKnown = () => !field.options || [...field.options].some((option) => option.value === here);
if (field && ["", "UTC"].includes(field.value) && isKnown()) field.value = here;
