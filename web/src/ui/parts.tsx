// Small parts that every page is made of.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useId } from "react";
import { Refused, type Schemas } from "../api/client";
import { inert, showTime, UNKNOWN, words } from "./format";

/** A name that somebody else chose: it stands by itself and reorders nothing around it. */
export const Name = ({ children }: { children: string }) => <bdi className="name">{inert(children)}</bdi>;

export function Time({ at, precise = false }: { at: string | null | undefined; precise?: boolean }) {
  if (at == null) return <span className="quiet">{UNKNOWN}</span>;
  return (
    <time dateTime={at} title={`${at} (UTC)`}>
      {showTime(at, precise)}
    </time>
  );
}

const CHECK = "M4 8.5l2.7 2.7L12 5.8";
const CROSS = "M5 5l6 6M11 5l-6 6";
const CLOCK = "M8 4.5V8l2.4 1.6";
type Look = { tone: string; shape: "circle" | "square" | "ring"; line: string };
const LOOKS: Record<string, Look> = {
  succeeded: { tone: "good", shape: "circle", line: CHECK },
  committed: { tone: "good", shape: "circle", line: CHECK },
  failed: { tone: "bad", shape: "square", line: CROSS },
  lost: { tone: "bad", shape: "square", line: CROSS },
  running: { tone: "busy", shape: "ring", line: "M8 2a6 6 0 0 1 0 12z" },
  reading: { tone: "busy", shape: "ring", line: "M8 2a6 6 0 0 1 0 12z" },
  committing: { tone: "busy", shape: "ring", line: "M8 2a6 6 0 0 1 0 12z" },
  launching: { tone: "wait", shape: "ring", line: CLOCK },
  queued: { tone: "wait", shape: "ring", line: CLOCK },
  waiting: { tone: "wait", shape: "ring", line: CLOCK },
  paused: { tone: "wait", shape: "square", line: "M6.2 5v6M9.8 5v6" },
};
const OTHER: Look = { tone: "still", shape: "square", line: "M5 8h6" };

/** A state as word, shape and colour. A state that this page does not know yet has its word. */
export function Status({ state }: { state: string }) {
  const look = LOOKS[state] ?? OTHER;
  return (
    <span className={`status ${look.tone}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {look.shape === "square" ? <rect x="1.5" y="1.5" width="13" height="13" rx="1.5" /> : <circle cx="8" cy="8" r="6.5" />}
        <path d={look.line} className={look.line.endsWith("z") ? "full" : ""} />
      </svg>
      {words(state)}
    </span>
  );
}

/** What was refused, in the server's words, with what to do next. */
export function Trouble({ error }: { error: unknown }) {
  const problem = error instanceof Refused ? error.problem : {};
  return (
    <div className="trouble" role="alert">
      <strong>{problem.title ?? "That did not work"}</strong>
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {problem.next ? <p>Next: {problem.next}</p> : null}
      {problem.code ? (
        <p className="quiet">
          {problem.code} · request {problem.request_id}
        </p>
      ) : null}
    </div>
  );
}

type Allowed = Schemas["AllowedAction"];

interface ActionProps {
  of: Allowed[] | undefined;
  action: string;
  label: string;
  /** What the button acts on, for those who hear it without the row around it. */
  on: string;
  run: () => Promise<unknown>;
  primary?: boolean;
  /** What has to be done at the page before it can be pressed. */
  first?: string | null;
}

/** A button for one action of an object: the server says whether it may be pressed, and why not. */
export function Action({ of, action, label, on, run, primary = false, first = null }: ActionProps) {
  const queries = useQueryClient();
  const reasonId = useId();
  const allowed = of?.find((one) => one.action === action);
  const press = useMutation({ mutationFn: run, onSettled: () => queries.invalidateQueries() });
  const why = allowed === undefined ? "the server does not offer this here" : (allowed.reason ?? "not allowed now");
  const refused = allowed?.allowed !== true;
  const barred = refused || first !== null;
  return (
    <div className="action">
      <button
        type="button"
        className={primary ? "primary" : ""}
        aria-disabled={barred || press.isPending}
        aria-describedby={barred ? reasonId : undefined}
        aria-label={`${label} ${inert(on)}`}
        onClick={() => {
          if (!barred && !press.isPending) press.mutate();
        }}
      >
        {press.isPending ? "Asking…" : label}
      </button>
      {barred ? (
        <span id={reasonId} className="why">
          {refused ? why : first}
        </span>
      ) : null}
      {press.isError ? <Trouble error={press.error} /> : null}
    </div>
  );
}

/** A table that scrolls by itself where it is wider than the page, by keyboard too. */
export function Table({ caption, head, children }: { caption: string; head: string[]; children: ReactNode }) {
  return (
    <div className="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption className="unseen">{caption}</caption>
        <thead>
          <tr>
            {head.map((text) => (
              <th key={text} scope="col">
                {text}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export const Waiting = () => (
  <p className="quiet" role="status">
    Loading…
  </p>
);
