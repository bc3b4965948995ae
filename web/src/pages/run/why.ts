// What is to be said of a failed run, out of what was told of it. Nothing here is drawn.
import type { components } from "../../api/schema";

type Schemas = components["schemas"];
type Failure = Schemas["Failure"];
type Detail = Schemas["RunDetail"];
type Event = Schemas["RunEvent"];

export interface Group {
  failure: Failure;
  /** What was told of it, without the streams' names; empty where nothing was. */
  what: string;
  streams: string[];
}

/** What an event says of a failure, for whichever stream: its name, the code and the hint stand elsewhere in the card. */
function said(event: Event | undefined, failure: Failure): string {
  if (event === undefined) return "";
  const name = event.stream_name == null ? "" : `${event.stream_name}: `;
  const text = (event.text.startsWith(name) ? event.text.slice(name.length) : event.text).replace(`; ${failure.hint}`, "");
  return event.sqlstate && !text.includes(event.sqlstate) ? `${text} · SQLSTATE ${event.sqlstate}` : text;
}

/** Each failure with the streams that ended in it: those are together of which the same was told. */
export function grouped(run: Pick<Detail, "failure" | "streams">, events: Event[]): Group[] {
  const found = new Map<string, Group>();
  const ofStreams = new Set<string>();
  for (const { failure, index, name } of run.streams) {
    if (failure == null) continue;
    ofStreams.add(failure.code);
    const of = events.filter((event) => event.failure === failure.code && event.stream === index);
    const what = said(of.findLast((event) => event.code === "stream_failed") ?? of.at(-1), failure);
    const key = `${failure.code} ${what}`;
    const group = found.get(key) ?? { failure, what, streams: [] };
    group.streams.push(name);
    found.set(key, group);
  }
  const { failure } = run;
  // The run's own failure is the one of its streams, or of none of them.
  if (failure == null || ofStreams.has(failure.code)) return [...found.values()];
  const what = said(events.findLast((event) => event.failure === failure.code), failure);
  return [{ failure, what, streams: [] }, ...found.values()];
}

/** What stays of a run that failed, as it is known now. */
export function kept(run: Pick<Detail, "kind" | "ended_at" | "streams" | "streams_delivered" | "streams_total">): string | null {
  if (run.kind !== "sync" || run.streams_total === 0) return null;
  const delivered = `${run.streams_delivered} of ${run.streams_total} streams delivered`;
  if (run.ended_at == null) return `${delivered} so far; the run goes on`;
  if (run.streams_delivered === run.streams_total) return `${delivered}: readers see all of them`;
  const late = run.streams.some((stream) => stream.state === "committing");
  if (run.streams_delivered === 0 && !late) return "none of its streams was delivered: all of them are as before the run";
  const others = run.streams_total - run.streams_delivered === 1 ? "the other one is" : "the others are";
  return `${delivered}; ${late ? "of the others, what was being committed may still be found delivered" : `${others} as before the run`}`;
}
