// Numbers, times and names as people read them. What is not known is a dash, never a zero.

export const UNKNOWN = "–";

const count = new Intl.NumberFormat("en");

export const showCount = (value: number | null | undefined): string => (value == null ? UNKNOWN : count.format(value));

export function showBytes(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  if (value < 1024) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let size = value / 1024;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size.toFixed(1)} ${units[unit]}`;
}

export function showDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** A moment in the viewer's zone, to the second, or to the millisecond where lines are compared. */
export function showTime(text: string, precise = false): string {
  const at = new Date(text);
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  return precise ? `${clock}.${String(at.getMilliseconds()).padStart(3, "0")}` : `${day} ${clock}`;
}

export function zoneName(): string {
  const minutes = -new Date().getTimezoneOffset();
  const sign = minutes < 0 ? "−" : "+";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return `${zone} (UTC${sign}${hours}${rest === 0 ? "" : `:${pad(rest)}`})`;
}

/** A name from elsewhere, with whatever would reorder or hide text made visible. */
export function inert(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `‹U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}›`);
}

export const words = (text: string): string => text.replaceAll("_", " ");
