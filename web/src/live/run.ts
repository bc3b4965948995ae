// One run as it is now, with all of its events: what the stream told so far. Where the stream does not tell of it, since it has no
// place for more runs or the run has ended, the run is asked for: an open one as often as a list, an ended one, which may still change, rarely.
import { useEffect, useState } from "react";
import { api, good, Refused, type Schemas } from "../api/client";
import { POLL_MS } from "./poll";
import { follow, isFollowed } from "./stream";

export interface Followed {
  run: Schemas["RunDetail"] | null;
  events: Schemas["RunEvent"][];
  /** What the server refused when it was asked last: what is shown beside it is from before. */
  refused: Refused | null;
}

const NONE: Followed = { run: null, events: [], refused: null };
/** Between two looks at a run that has ended. */
const ENDED_MS = 10_000;

export function useRun(id: string): Followed {
  const [shown, setShown] = useState<Followed & { id: string }>({ id, ...NONE });
  useEffect(() => {
    let run: Schemas["RunDetail"] | null = null;
    // An event may be told twice, to whoever has it already: each is kept once.
    const events = new Map<number, Schemas["RunEvent"]>();
    let last = 0;
    let drawn = 0;
    let refused: Refused | null = null;
    const draw = () => {
      drawn = 0;
      setShown({ id, run, refused, events: [...events.values()].sort((a, b) => a.seq - b.seq) });
    };
    const told = (now: Schemas["RunDetail"] | null, more: Schemas["RunEvent"][]) => {
      run = now ?? run;
      refused = null;
      for (const event of more) {
        events.set(event.seq, event);
        last = Math.max(last, event.seq);
      }
      // Many messages come at once: they are drawn together.
      if (drawn === 0) drawn = window.setTimeout(draw, 50);
    };
    const leave = follow(id, (message) => {
      if (message.kind === "run") told(message.run, []);
      if (message.kind === "event") told(null, [message.event]);
    });
    let asked = Date.now();
    let asking = false;
    const look = async () => {
      const before = run;
      asked = Date.now();
      asking = true;
      try {
        const found = await ask(id, last);
        // What the stream told meanwhile is newer.
        told(run === before ? found.run : null, found.events);
      } catch (error) {
        // What is not reached is asked for again, and the line above the page says so.
        if (error instanceof Refused) refused = error;
        draw();
      } finally {
        asking = false;
      }
    };
    const timer = setInterval(() => {
      const due = run?.ended_at == null ? !isFollowed(id) : Date.now() - asked >= ENDED_MS;
      if (due && !asking && !document.hidden) void look();
    }, POLL_MS);
    return () => {
      clearInterval(timer);
      clearTimeout(drawn);
      leave();
    };
  }, [id]);
  return shown.id === id ? shown : NONE;
}

/** A run and its events after the one with the given number. */
async function ask(id: string, after: number): Promise<Pick<Followed, "run" | "events">> {
  const path = { run: id };
  const [run, events] = await Promise.all([
    good(api.GET("/v1/runs/{run}", { params: { path } })),
    good(api.GET("/v1/runs/{run}/events", { params: { path, query: { after: String(after), limit: "500" } } })),
  ]);
  return { run, events: events.items };
}
