// Events of a run: filtered by loudness and text, both in the address, over everything that was told.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import type { Schemas } from "../../api/client";
import { inert, showCount } from "../../ui/format";
import { Time } from "../../ui/parts";
import { Choice } from "../runs";

export const LEVELS = ["info", "warn", "error"] as const;
/** Most lines that are drawn: the newest ones. */
const MOST = 500;

/** So long after the last letter the text is looked for. */
const TYPED_MS = 200;

type Event = Schemas["RunEvent"];

/** Those that are as loud and hold the text, by the rule by which the server finds them too. */
export function pick(events: Event[], level: (typeof LEVELS)[number] | undefined, find: string | undefined): Event[] {
  const least = level === undefined ? 0 : LEVELS.indexOf(level);
  const text = (find ?? "").toLowerCase();
  const loud = (event: Event) => LEVELS.findIndex((one) => one === event.level) >= least;
  return events.filter((event) => loud(event) && (event.text.toLowerCase().includes(text) || event.code.includes(text)));
}

interface EventsProps {
  events: Event[];
  /** Whether anything was told yet: before that nobody knows how many there are. */
  told: boolean;
  removed: string | null | undefined;
}

export function Events({ events, told, removed }: EventsProps) {
  const { level, find } = useSearch({ from: "/runs/$run" });
  const navigate = useNavigate({ from: "/runs/$run" });
  const fitting = pick(events, level, find);
  const shown = fitting.slice(-MOST);
  return (
    <section>
      <h2>
        Events{" "}
        <span className="quiet">{told ? `${showCount(fitting.length)} of ${showCount(events.length)}` : "not told yet"}</span>
      </h2>
      <form className="filters" role="search" aria-label="Filter events" onSubmit={(event) => event.preventDefault()}>
        <label className="pick">
          <span>Find</span>
          <Find
            value={find ?? ""}
            look={(text) => void navigate({ search: (old) => ({ ...old, find: text || undefined }), replace: true })}
          />
        </label>
        <Choice
          label="Level"
          value={level}
          among={LEVELS}
          choose={(chosen) => void navigate({ search: (old) => ({ ...old, level: chosen }), replace: true })}
        />
      </form>
      {removed ? (
        <p className="quiet">
          Its events were removed at <Time at={removed} />; the full log is in your bucket.
        </p>
      ) : null}
      {shown.length < fitting.length ? <p className="quiet">The newest {MOST} are shown: filter to see others.</p> : null}
      <div className="log" role="region" aria-label="Events" tabIndex={0}>
        <ol>
          {shown.map((event) => (
            <li key={event.seq} className={event.level}>
              <Time at={event.at} precise /> <b>{event.level.toUpperCase()}</b> <bdi className="name">{inert(event.text)}</bdi>
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}

/** What is typed stays as it is typed, caret and all; the address follows. */
function Find({ value, look }: { value: string; look: (text: string) => void }) {
  const [typed, setTyped] = useState(value);
  const [sent, setSent] = useState(value);
  const [seen, setSeen] = useState(value);
  if (value !== seen) {
    setSeen(value);
    // Another text than ours came into the address: by Back, or a link.
    if (value !== sent) {
      setSent(value);
      setTyped(value);
    }
  }
  useEffect(() => {
    if (typed === sent) return;
    const timer = setTimeout(() => {
      setSent(typed);
      look(typed);
    }, TYPED_MS);
    return () => clearTimeout(timer);
    // What is drawn meanwhile does not put it off.
  }, [typed, sent]);
  return <input type="search" value={typed} onChange={(event) => setTyped(event.target.value)} />;
}
