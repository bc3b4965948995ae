// One run as it is now, with all of its events: what the stream told so far.
import { useEffect, useState } from "react";
import type { Schemas } from "../api/client";
import { follow } from "./stream";

export interface Followed {
  run: Schemas["RunDetail"] | null;
  events: Schemas["RunEvent"][];
}

const NONE: Followed = { run: null, events: [] };

export function useRun(id: string): Followed {
  const [shown, setShown] = useState<Followed & { id: string }>({ id, ...NONE });
  useEffect(() => {
    let run: Schemas["RunDetail"] | null = null;
    // A stream that begins anew tells everything again: each event is kept once.
    const events = new Map<number, Schemas["RunEvent"]>();
    let drawn = 0;
    const draw = () => {
      drawn = 0;
      setShown({ id, run, events: [...events.values()].sort((a, b) => a.seq - b.seq) });
    };
    const leave = follow(id, (told) => {
      if (told.kind === "run") run = told.run;
      if (told.kind === "event") events.set(told.event.seq, told.event);
      // Many messages come at once: they are drawn together.
      if (drawn === 0) drawn = window.setTimeout(draw, 50);
    });
    return () => {
      clearTimeout(drawn);
      leave();
    };
  }, [id]);
  return shown.id === id ? shown : NONE;
}
