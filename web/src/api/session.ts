// The session: its tokens, in memory and in this tab's sessionStorage, and shared with the other tabs of this browser.
// A refresh token works once, and a second use ends the session: so only one tab at a time refreshes, after it asked the others.
import type { components } from "./schema";

type Tokens = components["schemas"]["Tokens"];

export interface Session {
  access: string;
  /** When the access token is too old, by this browser's clock. */
  until: number;
  refresh: string;
  /** When these tokens came: the newest ones count. */
  at: number;
}

type Message = { kind: "ask" } | { kind: "have"; session: Session } | { kind: "out" };

const KEY = "waybill.session";
const LOCK = "waybill.refresh";
/** How long the other tabs get to answer. */
/** A request that hangs so long is lost. */
const PATIENCE_MS = 15_000;
const ASK_MS = 120;

let current: Session | null = stored();
const watchers = new Set<() => void>();
const channel = new BroadcastChannel("waybill.session");

function stored(): Session | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Session | null;
  } catch {
    return null;
  }
}

function keep(session: Session | null): void {
  current = session;
  if (session === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, JSON.stringify(session));
  for (const watcher of watchers) watcher();
}

channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
  if (data.kind === "ask" && current !== null) channel.postMessage({ kind: "have", session: current } satisfies Message);
  if (data.kind === "have" && data.session.at > (current?.at ?? 0)) keep(data.session);
  if (data.kind === "out") keep(null);
});

export const signedIn = (): boolean => current !== null;

export function watchSession(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Takes the newest tokens of the other tabs, where there are any. */
export async function askOthers(): Promise<void> {
  channel.postMessage({ kind: "ask" } satisfies Message);
  await new Promise((done) => setTimeout(done, ASK_MS));
}

/** Begins a session, for all tabs. */
export function begin(tokens: Tokens): void {
  const session: Session = {
    access: tokens.access_token,
    until: Date.now() + tokens.access_expires_in_ms,
    refresh: tokens.refresh_token,
    at: Date.now(),
  };
  keep(session);
  channel.postMessage({ kind: "have", session } satisfies Message);
}

/** Ends the session, in all tabs. */
export function end(): void {
  keep(null);
  channel.postMessage({ kind: "out" } satisfies Message);
}

/** Signs out: at once in all tabs, whether or not the server is reached, which is told then. */
export async function leave(): Promise<void> {
  const left = current;
  end();
  if (left === null) return;
  if (left.until > Date.now()) return tell(left.access);
  const answer = await exchange(left.refresh).catch(() => null);
  if (answer?.ok) await tell(((await answer.json()) as Tokens).access_token);
}

const exchange = (refresh: string): Promise<Response> =>
  fetch("/v1/refresh", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ refresh_token: refresh }),
    credentials: "omit",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });

async function tell(access: string): Promise<void> {
  const headers = { authorization: `Bearer ${access}` };
  const signal = AbortSignal.timeout(PATIENCE_MS);
  await fetch("/v1/logout", { method: "POST", headers, credentials: "omit", keepalive: true, signal }).catch(() => null);
}

/** An access token that is good for some seconds yet; none where nobody is signed in. */
export async function token(): Promise<string | null> {
  if (current === null) return null;
  if (current.until - Date.now() < 10_000) await renew(current.access);
  return current?.access ?? null;
}

/** Exchanges the tokens for new ones, unless another tab has done so since `old` was sent. */
export async function renew(old: string): Promise<void> {
  await navigator.locks.request(LOCK, async () => {
    if (current === null || current.access !== old) return;
    await askOthers();
    if (current === null || current.access !== old) return;
    const answer = await exchange(current.refresh);
    // Signed out meanwhile, here or in another tab: what was handed out ends too.
    if (answer.ok && current?.access !== old) await tell(((await answer.json()) as Tokens).access_token);
    else if (answer.ok) begin((await answer.json()) as Tokens);
    else if (answer.status === 401) end();
    else throw new Error(`the session could not be renewed: ${answer.status}`);
  });
}
