// Events of a run: filtered by loudness and text, both in the address, over everything that was told.
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { inert, showCount } from "../../ui/format";
import { Time } from "../../ui/parts";
import { Choice } from "../runs";

export const LEVELS = ["info", "warn", "error"] as const;
/** Most lines that are drawn: the newest ones. */
const MOST = 500;

type Event = Schemas["RunEvent"];

/** Those that are as loud and hold the text, by the rule by which the server finds them too. */
export function pick(events: Event[], level: (typeof LEVELS)[number] | undefined, find: string | undefined): Event[] {
  const least = level === undefined ? 0 : LEVELS.indexOf(level);
  const text = (find ?? "").toLowerCase();
  const loud = (event: Event) => LEVELS.findIndex((one) => one === event.level) >= least;
  return events.filter((event) => loud(event) && (event.text.toLowerCase().includes(text) || event.code.includes(text)));
}

export function Events({ events, removed }: { events: Event[]; removed: string | null | undefined }) {
  const { level, find } = useSearch({ from: "/runs/$run" });
  const navigate = useNavigate({ from: "/runs/$run" });
  const fitting = pick(events, level, find);
  const shown = fitting.slice(-MOST);
  return (
    <section>
      <h2>
        Events <span className="quiet">{`${showCount(fitting.length)} of ${showCount(events.length)}`}</span>
      </h2>
      <form className="filters" role="search" aria-label="Filter events" onSubmit={(event) => event.preventDefault()}>
        <label className="pick">
          <span>Find</span>
          <input
            type="search"
            value={find ?? ""}
            onChange={(event) =>
              void navigate({ search: (old) => ({ ...old, find: event.target.value || undefined }), replace: true })
            }
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
