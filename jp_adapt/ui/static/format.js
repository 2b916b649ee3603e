// Numbers, times and sizes as the page shows them.

const minus = (text) => text.replace("-", "\u2212");

export function number(value, digits = 3, sign = false) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  const text = Math.abs(value) >= 1e15 ? value.toExponential(3) : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return minus((sign && value > 0 ? "+" : "") + text);
}

export const count = (value) => number(value, 0);

// Four significant digits, for axes and hover.
export function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  const size = Math.abs(value);
  if (size >= 1e9) return minus(`${+(value / 1e9).toPrecision(4)}G`);
  if (size >= 1e6) return minus(`${+(value / 1e6).toPrecision(4)}M`);
  if (size >= 1e4) return minus(`${+(value / 1e3).toPrecision(4)}k`);
  return minus(size && size < 1e-3 ? String(+value.toPrecision(3)) : String(+value.toPrecision(4)));
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "\u2013";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.round(seconds) % 60];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${rest} s`;
}

export function size(bytes) {
  const power = bytes >= 2 ** 30 ? 3 : bytes >= 2 ** 20 ? 2 : bytes >= 2 ** 10 ? 1 : 0;
  return `${(bytes / 1024 ** power).toFixed(power ? 1 : 0)} ${["B", "KiB", "MiB", "GiB"][power]}`;
}

export function date(text) {
  const given = new Date(text);
  if (!text || Number.isNaN(given.valueOf())) return text || "\u2013";
  const two = (value) => String(value).padStart(2, "0");
  return `${given.getFullYear()}-${two(given.getMonth() + 1)}-${two(given.getDate())} ${two(given.getHours())}:${two(given.getMinutes())}`;
}
