// One event stream for all tabs of this browser: the tab that holds a lock reads it for everybody and passes on what comes.
// Every tab says which runs it shows; the reader follows those of them that are open, and whoever takes the lock after it goes on.
// It never says that a run is followed which is not: what is told here of `followed` decides what a tab asks for by itself.
import { type Schemas, api } from "../api/client";
import { renew, signedIn, token, watchSession } from "../api/session";
import { placer, splitter } from "./frames";
import { reached } from "./status";

type Told =
  | { kind: "run"; run: Schemas["RunDetail"] }
  | { kind: "event"; id: string; event: Schemas["RunEvent"] }
  | { kind: "followed"; runs: string[] }
  | { kind: "link"; up: boolean };
/** `anew` is a run that the tab shows from now on: it knows nothing of it yet. */
type Message = Told | { kind: "hello" } | { kind: "want"; tab: string; runs: string[]; anew?: string };

/** Most runs that the server tells of in one stream. */
const MOST = 8;
const AGAIN_MS = 1_000;
const LOCK = "waybill.live";

const tab = crypto.randomUUID();
const channel = new BroadcastChannel("waybill.live");
const shown = new Map<string, Set<(told: Told) => void>>();
const wanted = new Map<string, string[]>();
/** The last event of each run that was told to all tabs: a stream that begins anew goes on after it. */
const last = new Map<string, number>();
/** Runs that were told to their end. They take no place of the stream. */
const ended = new Set<string>();
/** Runs that the stream tells of now. */
let followed = new Set<string>();
/** Ends the stream that is read, so that it begins anew with other runs. */
let other: AbortController | null = null;
let leads = false;

const mine = (): string[] => [...shown.keys()];

function tellOthers(anew?: string): void {
  channel.postMessage({ kind: "want", tab, runs: mine(), anew } satisfies Message);
  want(tab, mine(), anew);
}

function want(who: string, runs: string[], anew?: string): void {
  const same = wanted.get(who)?.join() === runs.join();
  wanted.set(who, runs);
  if (anew !== undefined) {
    last.delete(anew);
    ended.delete(anew);
  }
  if (leads && (anew !== undefined || !same)) other?.abort();
}

function give(told: Told): void {
  if (told.kind === "link") return reached(told.up);
  if (told.kind === "followed") {
    followed = new Set(told.runs);
    return;
  }
  const run = told.kind === "run" ? told.run.id : told.id;
  if (told.kind === "event") last.set(run, Math.max(last.get(run) ?? 0, told.event.seq));
  for (const watcher of shown.get(run) ?? []) watcher(told);
}

/** Whether the stream tells what becomes of a run. */
export const isFollowed = (run: string): boolean => followed.has(run);

channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
  if (data.kind === "hello") tellOthers();
  else if (data.kind === "want") want(data.tab, data.runs, data.anew);
  else give(data);
});

/** Follows a run until the answer is called. The run comes first, then all of its events, then both as they change. */
export function follow(run: string, watcher: (told: Told) => void): () => void {
  const watchers = shown.get(run) ?? new Set();
  watchers.add(watcher);
  shown.set(run, watchers);
  tellOthers(run);
  return () => {
    watchers.delete(watcher);
    if (watchers.size === 0) shown.delete(run);
    tellOthers();
  };
}

/** Runs that any living tab shows: each holds a lock of its own as long as it lives. */
async function topics(): Promise<string[]> {
  const held = new Set((await navigator.locks.query()).held?.map((lock) => lock.name));
  for (const who of wanted.keys()) if (!held.has(`${LOCK}.${who}`)) wanted.delete(who);
  return [...new Set([...wanted.values()].flat())].filter((run) => !refused.has(run) && !ended.has(run)).slice(-MOST);
}

/** Runs that the server does not show to who is signed in. One of them would be refused with all others: they are followed no more. */
const refused = new Set<string>();
watchSession(() => {
  refused.clear();
  if (signedIn()) return;
  last.clear();
  ended.clear();
});

/** Asks for each run alone; whether any is refused. */
async function leaveOut(runs: string[]): Promise<boolean> {
  const answers = await Promise.all(runs.map((id) => api.GET("/v1/runs/{run}", { params: { path: { run: id } } })));
  answers.forEach(({ response }, at) => {
    if ([400, 403, 404].includes(response.status)) refused.add(runs[at]!);
  });
  return runs.some((run) => refused.has(run));
}

const forever = (): Promise<never> => new Promise(() => {});
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

function pass(told: Told): void {
  channel.postMessage(told);
  give(told);
}

async function lead(): Promise<never> {
  leads = true;
  channel.postMessage({ kind: "hello" } satisfies Message);
  for (;;) {
    other = new AbortController();
    const { signal } = other;
    const changed = new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
    const runs = await topics();
    if (runs.length === 0) {
      pass({ kind: "followed", runs });
      await changed;
      continue;
    }
    try {
      const whole = await read(runs, signal);
      if (whole) await Promise.race([changed, topicsChange(runs)]);
      else if (!signal.aborted) throw new Error("the stream ended early");
    } catch {
      if (signal.aborted) continue;
      pass({ kind: "followed", runs: [] });
      pass({ kind: "link", up: false });
      await Promise.race([changed, pause(AGAIN_MS)]);
    }
  }
}

/** Comes back once other runs are wanted: all that were followed have ended. */
async function topicsChange(runs: string[]): Promise<void> {
  while ((await topics()).join() === runs.join()) await pause(AGAIN_MS);
}

/** Reads one stream to its end; whether all runs of it have ended. */
async function read(runs: string[], signal: AbortSignal): Promise<boolean> {
  const bearer = await token();
  if (bearer === null) throw new Error("nobody is signed in");
  const own = new AbortController();
  try {
    return await readAll(runs, bearer, AbortSignal.any([signal, own.signal]));
  } finally {
    // One that fell silent would hold its connection.
    own.abort();
  }
}

async function readAll(runs: string[], bearer: string, signal: AbortSignal): Promise<boolean> {
  const before = runs.map((run) => `${run}:${last.get(run) ?? 0}`).join(",");
  const answer = await fetch(`/v1/events?topics=${runs.map((run) => `run:${run}`).join(",")}`, {
    headers: { authorization: `Bearer ${bearer}`, accept: "text/event-stream", "last-event-id": before },
    credentials: "omit",
    cache: "no-store",
    signal,
  });
  if (answer.status === 401) await renew(bearer);
  if ((answer.status === 400 || answer.status === 404) && (await leaveOut(runs))) return true;
  if (!answer.ok || answer.body === null) throw new Error(`the stream was refused: ${answer.status}`);
  pass({ kind: "link", up: true });
  pass({ kind: "followed", runs });
  const frames = splitter();
  const place = placer();
  place(before);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const piece = await within(reader.read());
    if (piece.done) return false;
    for (const frame of frames(piece.value)) {
      if (frame.event === "end") {
        pass({ kind: "followed", runs: [] });
        return true;
      }
      const id = place(frame.id);
      if (frame.event === "run") {
        const run = JSON.parse(frame.data) as Schemas["RunDetail"];
        if (run.ended_at != null) ended.add(run.id);
        pass({ kind: "run", run });
      }
      if (frame.event === "event") pass({ kind: "event", id, event: JSON.parse(frame.data) as Schemas["RunEvent"] });
    }
  }
}

/** The server says something every 15 seconds: longer silence means that the way to it is gone. */
async function within<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error("the stream fell silent")), 20_000);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Takes part: every tab waits for the lock, and one holds it. */
export function takePart(): void {
  void navigator.locks.request(`${LOCK}.${tab}`, forever);
  void navigator.locks.request(LOCK, lead);
}
