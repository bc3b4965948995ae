// One event stream for all tabs of this browser: the tab that holds a lock reads it for everybody and passes on what comes.
// Every tab says which runs it shows; the reader follows all of them, and whoever takes the lock after it goes on.
import { type Schemas, api } from "../api/client";
import { renew, token, watchSession } from "../api/session";
import { placer, splitter } from "./frames";
import { reached } from "./status";

type Told =
  | { kind: "run"; run: Schemas["RunDetail"] }
  | { kind: "event"; id: string; event: Schemas["RunEvent"] }
  | { kind: "link"; up: boolean };
type Message = Told | { kind: "hello" } | { kind: "want"; tab: string; runs: string[] };

/** Most runs that the server tells of in one stream. */
const MOST = 8;
const AGAIN_MS = 1_000;
const LOCK = "waybill.live";

const tab = crypto.randomUUID();
const channel = new BroadcastChannel("waybill.live");
const shown = new Map<string, Set<(told: Told) => void>>();
const wanted = new Map<string, string[]>();
/** Ends the stream that is read, so that it begins anew with other runs. */
let other: AbortController | null = null;
let leads = false;

const mine = (): string[] => [...shown.keys()];

function tellOthers(): void {
  channel.postMessage({ kind: "want", tab, runs: mine() } satisfies Message);
  want(tab, mine());
}

function want(who: string, runs: string[]): void {
  wanted.set(who, runs);
  if (leads) other?.abort();
}

function give(told: Told): void {
  if (told.kind === "link") return reached(told.up);
  const run = told.kind === "run" ? told.run.id : told.id;
  for (const watcher of shown.get(run) ?? []) watcher(told);
}

channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
  if (data.kind === "hello") tellOthers();
  else if (data.kind === "want") want(data.tab, data.runs);
  else give(data);
});

/** Follows a run until the answer is called. The run comes first, then all of its events, then both as they change. */
export function follow(run: string, watcher: (told: Told) => void): () => void {
  const watchers = shown.get(run) ?? new Set();
  watchers.add(watcher);
  shown.set(run, watchers);
  tellOthers();
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
  return [...new Set([...wanted.values()].flat())].filter((run) => !refused.has(run)).slice(-MOST);
}

/** Runs that the server does not show to who is signed in. One of them would be refused with all others: they are followed no more. */
const refused = new Set<string>();
watchSession(() => refused.clear());

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
      await changed;
      continue;
    }
    try {
      const whole = await read(runs, signal);
      if (whole) await Promise.race([changed, topicsChange(runs)]);
      else if (!signal.aborted) throw new Error("the stream ended early");
    } catch {
      if (signal.aborted) continue;
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
  signal.addEventListener("abort", () => own.abort(), { once: true });
  try {
    return await readAll(runs, bearer, own.signal);
  } finally {
    // One that fell silent would hold its connection.
    own.abort();
  }
}

async function readAll(runs: string[], bearer: string, signal: AbortSignal): Promise<boolean> {
  const answer = await fetch(`/v1/events?topics=${runs.map((run) => `run:${run}`).join(",")}`, {
    headers: { authorization: `Bearer ${bearer}`, accept: "text/event-stream" },
    credentials: "omit",
    cache: "no-store",
    signal,
  });
  if (answer.status === 401) await renew(bearer);
  if ((answer.status === 400 || answer.status === 404) && (await leaveOut(runs))) return true;
  if (!answer.ok || answer.body === null) throw new Error(`the stream was refused: ${answer.status}`);
  pass({ kind: "link", up: true });
  const frames = splitter();
  const place = placer();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const piece = await within(reader.read());
    if (piece.done) return false;
    for (const frame of frames(piece.value)) {
      if (frame.event === "end") return true;
      const id = place(frame.id);
      if (frame.event === "run") pass({ kind: "run", run: JSON.parse(frame.data) as Schemas["RunDetail"] });
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
