// Why a run failed: the code, where, what, and what to do next.
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { Name } from "../../ui/parts";

type Failure = Schemas["Failure"];

/** One failure with all the streams that ended in it. */
export function grouped(run: Schemas["RunDetail"]): { failure: Failure; streams: string[] }[] {
  const found = new Map<string, { failure: Failure; streams: string[] }>();
  const add = (failure: Failure | null | undefined, stream?: string) => {
    if (failure == null) return;
    const one = found.get(failure.code) ?? { failure, streams: [] };
    if (stream !== undefined) one.streams.push(stream);
    found.set(failure.code, one);
  };
  add(run.failure);
  for (const stream of run.streams) add(stream.failure, stream.name);
  return [...found.values()];
}

export function Failures({ run, events }: { run: Schemas["RunDetail"]; events: Schemas["RunEvent"][] }) {
  const all = grouped(run);
  return all.map(({ failure, streams }) => {
    const of = events.filter((event) => event.failure === failure.code);
    const told = of.findLast((event) => event.code === "stream_failed") ?? of.at(-1);
    return (
      <section key={failure.code} className="card failure" aria-label={`Failure ${failure.code}`}>
        <h2>
          <code>{failure.code}</code>
        </h2>
        <dl>
          <dt>Where</dt>
          <dd>
            {streams.length === 0
              ? "the run as a whole"
              : streams.map((stream, at) => (
                  <span key={stream}>
                    {at === 0 ? null : ", "}
                    <Name>{stream}</Name>
                  </span>
                ))}
          </dd>
          {told ? (
            <>
              <dt>What</dt>
              <dd>
                {told.text.replace(`; ${failure.hint}`, "")}
                {told.sqlstate ? ` · SQLSTATE ${told.sqlstate}` : null}
              </dd>
            </>
          ) : null}
          <dt>Kept</dt>
          <dd>
            {run.streams_delivered} of {run.streams_total} streams delivered; the others are as before the run
          </dd>
          <dt>Next</dt>
          <dd>
            {failure.hint}.{" "}
            <Link to="/docs/failures" hash={failure.code}>
              About {failure.code}
            </Link>
          </dd>
        </dl>
      </section>
    );
  });
}
