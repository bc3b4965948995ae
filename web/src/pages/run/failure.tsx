// Why a run failed: the code, where, what, what stays of it, and what to do next.
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { Name } from "../../ui/parts";
import { grouped, kept } from "./why";

export function Failures({ run, events }: { run: Schemas["RunDetail"]; events: Schemas["RunEvent"][] }) {
  const stays = kept(run);
  return grouped(run, events).map(({ failure, what, streams }) => (
    <section key={`${failure.code} ${what}`} className="card failure" aria-label={`Failure ${failure.code}`}>
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
        {what === "" ? null : (
          <>
            <dt>What</dt>
            <dd>
              <Name>{what}</Name>
            </dd>
          </>
        )}
        {stays === null ? null : (
          <>
            <dt>Kept</dt>
            <dd>{stays}</dd>
          </>
        )}
        <dt>Next</dt>
        <dd>
          {failure.hint}.{" "}
          <Link to="/docs/failures" hash={failure.code}>
            About {failure.code}
          </Link>
        </dd>
      </dl>
    </section>
  ));
}
