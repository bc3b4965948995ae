// The session: its tokens, in memory and in this tab's sessionStorage, and shared with the other tabs of this browser.
// A refresh token works once, and a second use ends the session: so only one tab at a time refreshes, and only what is the newest
// for sure. Each set of tokens has a serial number. The highest one ever stands in localStorage, which is no secret, and a tab holds a
// lock with the number of what it has for as long as it lives: whoever waits for a newer set knows whether there is anybody to wait for.
import type { components } from "./schema";

type Tokens = components["schemas"]["Tokens"];

export interface Session {
  access: string;
  /** When the access token is too old, by this browser's clock. */
  until: number;
  refresh: string;
  /** Rises with every set of tokens of this browser. */
  serial: number;
}

type Message = { kind: "ask" } | { kind: "have"; session: Session } | { kind: "out" };

const KEY = "waybill.session";
const NEWEST = "waybill.session.newest";
const LOCK = "waybill.refresh";
const HELD = "waybill.holds.";
/** A request that hangs so long is lost, and so is a tab. */
const PATIENCE_MS = 15_000;

const tab = crypto.randomUUID();
let current: Session | null = stored();
let letGo: (() => void) | null = null;
const watchers = new Set<() => void>();
const channel = new BroadcastChannel("waybill.session");

function stored(): Session | null {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Session | null;
    return typeof found?.serial === "number" ? found : null;
  } catch {
    return null;
  }
}

/** The serial number of the newest tokens of this browser, whoever has them. */
const newest = (): number => Number(localStorage.getItem(NEWEST)) || 0;

function next(): number {
  const serial = Math.max(newest(), current?.serial ?? 0) + 1;
  localStorage.setItem(NEWEST, String(serial));
  return serial;
}

/** Shows the other tabs which tokens are here, from the answer on. */
function hold(serial: number | null): Promise<void> {
  letGo?.();
  letGo = null;
  if (serial === null) return Promise.resolve();
  return new Promise((held) => {
    const until = new Promise<void>((done) => (letGo = done));
    void navigator.locks.request(`${HELD}${serial}.${tab}`, () => {
      held();
      return until;
    });
  });
}

function keep(session: Session | null): Promise<void> {
  current = session;
  if (session === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, JSON.stringify(session));
  const held = hold(session?.serial ?? null);
  for (const watcher of watchers) watcher();
  return held;
}

channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
  if (data.kind === "ask" && current !== null) channel.postMessage({ kind: "have", session: current } satisfies Message);
  // One that comes after a sign-out is older than that.
  if (data.kind === "have" && data.session.serial >= newest() && data.session.serial > (current?.serial ?? 0)) void keep(data.session);
  if (data.kind === "out") void keep(null);
});
if (current !== null) void hold(current.serial);

export const signedIn = (): boolean => current !== null;

export function watchSession(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** The serial number of the newest tokens that a living tab has. */
async function held(): Promise<number> {
  const names = ((await navigator.locks.query()).held ?? []).map((lock) => lock.name ?? "");
  return Math.max(0, ...names.filter((name) => name.startsWith(HELD)).map((name) => Number.parseInt(name.slice(HELD.length), 10)));
}

/** Takes the newest tokens of the other tabs, where there are any: whether this tab now has what the newest living one has. */
export async function askOthers(): Promise<boolean> {
  const there = async () => {
    const serial = await held();
    return serial < newest() || (current?.serial ?? 0) >= serial;
  };
  const until = Date.now() + PATIENCE_MS;
  while (!(await there())) {
    if (Date.now() > until) return false;
    // Whoever answers wakes us; and whoever closes meanwhile is not waited for.
    await new Promise<void>((done) => {
      const leave = () => {
        clearTimeout(timer);
        channel.removeEventListener("message", leave);
        done();
      };
      const timer = setTimeout(leave, 250);
      channel.addEventListener("message", leave);
      channel.postMessage({ kind: "ask" } satisfies Message);
    });
  }
  return true;
}

function take(tokens: Tokens): Promise<void> {
  const { access_token: access, refresh_token: refresh } = tokens;
  const session: Session = { access, until: Date.now() + tokens.access_expires_in_ms, refresh, serial: next() };
  const held = keep(session);
  channel.postMessage({ kind: "have", session } satisfies Message);
  return held;
}

/** Begins a session, for all tabs. */
export const begin = (tokens: Tokens): Promise<void> => navigator.locks.request(LOCK, () => take(tokens));

/** Ends the session, in all tabs. */
export function end(): void {
  // A tab that comes back later knows that what it has is nothing any more.
  next();
  void keep(null);
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
    if (!(await askOthers())) throw new Error("another tab has newer tokens and did not answer yet");
    if (current === null || current.access !== old) return;
    // Ours were used, and nobody who lives has what came of it: a second use would look like a theft.
    if (current.serial < newest()) return void (await keep(null));
    const answer = await exchange(current.refresh);
    // Signed out meanwhile, here or in another tab: what was handed out ends too.
    if (answer.ok && current?.access !== old) await tell(((await answer.json()) as Tokens).access_token);
    else if (answer.ok) await take((await answer.json()) as Tokens);
    else if (answer.status === 401) end();
    else throw new Error(`the session could not be renewed: ${answer.status}`);
  });
}
