// One pipeline: its streams, its last runs, its plan as text.
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { api, good } from "../api/client";
import { POLL_MS } from "../live/poll";
import { Heading } from "../ui/heading";
import { Name, Status, Time, Trouble, Waiting } from "../ui/parts";
import { RunNow, stateOf } from "./pipelines";
import { RunTable } from "./runs";

export function Pipeline() {
  const { pipeline: id } = useParams({ from: "/pipelines/$pipeline" });
  const path = { pipeline: id };
  const one = useQuery({
    queryKey: ["pipeline", id],
    queryFn: () => good(api.GET("/v1/pipelines/{pipeline}", { params: { path } })),
    refetchInterval: POLL_MS,
  });
  const runs = useQuery({
    queryKey: ["runs", "of", id],
    queryFn: () => good(api.GET("/v1/runs", { params: { query: { pipeline: id, limit: "10" } } })),
    refetchInterval: POLL_MS,
  });
  const versions = useQuery({
    queryKey: ["versions", id, one.data?.version],
    queryFn: () => good(api.GET("/v1/pipelines/{pipeline}/versions", { params: { path, query: { limit: "1" } } })),
    enabled: one.data !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (one.isPending) return <Waiting />;
  if (one.data === undefined) return <Trouble error={one.error} />;
  const pipeline = one.data;
  const plan = versions.data?.items[0];
  return (
    <>
      {one.isError ? <Trouble error={one.error} /> : null}
      <header className="title">
        <div>
          <Heading title={pipeline.name}>
            <Name>{pipeline.name}</Name>
          </Heading>
          <p>
            <Status state={stateOf(pipeline)} /> · <Name>{pipeline.from}</Name> → <Name>{pipeline.to}</Name> · version {pipeline.version}
          </p>
          <p>
            Next run: {pipeline.next_run_at ? <Time at={pipeline.next_run_at} /> : <span className="quiet">none by itself</span>}
          </p>
        </div>
        <RunNow pipeline={pipeline} />
      </header>
      <section>
        <h2>Streams</h2>
        <ul className="plain">
          {pipeline.streams.map((stream) => (
            <li key={stream}>
              <Name>{stream}</Name>
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h2>Last runs</h2>
        {runs.isError ? <Trouble error={runs.error} /> : null}
        {runs.data?.items.length === 0 ? <p className="quiet">It never ran. Run now starts the first one.</p> : null}
        {runs.data && runs.data.items.length > 0 ? (
          <>
            <RunTable runs={runs.data.items} caption="Last runs" />
            <p>
              <Link to="/runs" search={{ pipeline: id, project: pipeline.project_id }}>
                All runs of this pipeline
              </Link>
            </p>
          </>
        ) : null}
      </section>
      <section>
        <h2>Config</h2>
        <p className="quiet">The plan as a worker gets it: references to secrets, never secrets.</p>
        {versions.isError ? <Trouble error={versions.error} /> : null}
        {plan ? (
          <pre className="code" role="region" aria-label="Config" tabIndex={0}>
            {JSON.stringify(plan.plan, null, 2)}
          </pre>
        ) : null}
      </section>
    </>
  );
}
