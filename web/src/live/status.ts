// Whether what the pages show is live: told by every answer of the server and by the event stream, and always visible.

export type Link = { word: "live" | "reconnecting" | "offline"; since: number };

/** So long without the server is no hiccup any more. */
const OFFLINE_MS = 4_000;

let link: Link = { word: "live", since: Date.now() };
let lost: number | null = null;
const watchers = new Set<() => void>();

function tell(word: Link["word"], since: number): void {
  if (link.word === word) return;
  link = { word, since };
  for (const watcher of watchers) watcher();
}

function look(): void {
  if (lost === null) tell("live", Date.now());
  else if (!navigator.onLine || Date.now() - lost >= OFFLINE_MS) tell("offline", lost);
  else tell("reconnecting", lost);
}

/** Whether the server was reached just now. */
export function reached(yes: boolean): void {
  lost = yes ? null : (lost ?? Date.now());
  look();
}

setInterval(look, 500);
addEventListener("offline", () => reached(false));

export const linkNow = (): Link => link;

export function watchLink(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}
