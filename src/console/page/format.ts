// Numbers for people.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const SCALES = ["", "k", "M", "G"];

export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${short(size)} ${UNITS[unit]}`;
}

export function count(value: number): string {
  let size = value;
  let scale = 0;
  while (size >= 10_000 && scale < SCALES.length - 1) {
    size /= 1000;
    scale++;
  }
  return `${short(size)}${scale === 0 ? "" : ` ${SCALES[scale]}`}`;
}

function short(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}
