// One run, live: what failed and what to do, its streams, events, attempts and receipt.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { api, good, once, type Schemas } from "../api/client";
import { useRun } from "../live/run";
import { showBytes, showCount, words } from "../ui/format";
import { Heading } from "../ui/heading";
import { Action, Name, Status, Table, Time, Trouble, Waiting } from "../ui/parts";
import { Events } from "./run/events";
import { Failures } from "./run/failure";
import { howBegun, tookOf } from "./runs";

type Detail = Schemas["RunDetail"];

export function Run() {
  const { run: id } = useParams({ from: "/runs/$run" });
  const { run: told, events, refused } = useRun(id);
  // The stream tells everything, but not why it was refused, and what is seen should not wait for it.
  const asked = useQuery({
    queryKey: ["run", id],
    queryFn: () => good(api.GET("/v1/runs/{run}", { params: { path: { run: id } } })),
  });
  const run = told ?? asked.data ?? null;
  // Whoever follows the run asks again until it is known.
  const error = refused ?? (told === null ? asked.error : null);
  if (run === null) return error ? <Trouble error={error} /> : <Waiting />;
  return (
    <>
      {error ? <Trouble error={error} /> : null}
      <Head run={run} />
      <Failures run={run} events={events} />
      <Streams run={run} />
      <Events events={events} told={told !== null} removed={run.events_removed_at} />
      <Attempts run={run} />
      <Receipt run={run} />
    </>
  );
}

function Head({ run }: { run: Detail }) {
  const navigate = useNavigate();
  const path = { run: run.id };
  const left = run.streams_total - run.streams_delivered;
  async function retry() {
    const next = await good(api.POST("/v1/runs/{run}/retry", { params: { path, header: once() } }));
    await navigate({ to: "/runs/$run", params: { run: next.id }, search: {} });
  }
  return (
    <header className="title">
      <div>
        <Heading title={`${run.subject} ${words(run.kind)}`}>
          <Name>{run.subject}</Name> <span className="quiet">{words(run.kind)}</span>
        </Heading>
        <p>
          <Status state={run.state} /> · begun <Time at={run.created_at} /> · took {tookOf(run)} · attempts {run.attempts} · {howBegun(run.trigger)}
        </p>
        {run.desired === "cancel" && run.ended_at == null ? <p>Stop asked.</p> : null}
        {run.waiting_for ? <p>It waits for {run.waiting_for}.</p> : null}
        <p className="quiet">
          <code>{run.id}</code>
          {run.pipeline_id ? (
            <>
              {" · "}
              <Link to="/pipelines/$pipeline" params={{ pipeline: run.pipeline_id }} search={{}}>
                its pipeline
              </Link>
            </>
          ) : null}
          {run.retry_of ? (
            <>
              {" · "}
              <Link to="/runs/$run" params={{ run: run.retry_of }} search={{}}>
                the run that it retries
              </Link>
            </>
          ) : null}
        </p>
      </div>
      <div className="actions">
        <Action
          of={run.allowed_actions}
          action="run_cancel"
          label="Cancel"
          on={run.id}
          run={() => good(api.POST("/v1/runs/{run}/cancel", { params: { path } }))}
        />
        <Action of={run.allowed_actions} action="run_retry" label={`Retry undelivered streams (${left})`} on={run.id} run={retry} />
      </div>
    </header>
  );
}

function Streams({ run }: { run: Detail }) {
  if (run.streams.length === 0) return null;
  return (
    <section>
      <h2>
        Streams <span className="quiet">{`${run.streams_delivered} of ${run.streams_total} delivered`}</span>
      </h2>
      <Table caption="Streams" head={["Stream", "State", "Rows", "About", "Bytes", "Files", "Changed values"]}>
        {run.streams.map((stream) => (
          <tr key={stream.index}>
            <th scope="row">
              <Name>{stream.name}</Name>
              {stream.reload ? <span className="under">read whole</span> : null}
              {stream.delivered_late ? <span className="under">delivered late</span> : null}
            </th>
            <td>
              <Status state={stream.state} />
              {stream.failure ? <code className="under">{stream.failure.code}</code> : null}
            </td>
            <td className="number">{showCount(stream.rows)}</td>
            <td className="number quiet">{stream.rows_estimate == null ? "–" : `~${showCount(stream.rows_estimate)}`}</td>
            <td className="number">{showBytes(stream.bytes)}</td>
            <td className="number">{showCount(stream.files)}</td>
            <td className="number">{showCount(stream.coerced)}</td>
          </tr>
        ))}
      </Table>
    </section>
  );
}

function Attempts({ run }: { run: Detail }) {
  if (run.attempt_list.length === 0) return null;
  return (
    <section>
      <h2>Attempts</h2>
      <Table caption="Attempts" head={["Attempt", "State", "Made", "Worker enrolled", "Ended", "Task"]}>
        {run.attempt_list.map((attempt) => (
          <tr key={attempt.id}>
            <th scope="row">{attempt.number}</th>
            <td>
              <Status state={attempt.state} />
              {attempt.failure ? <code className="under">{attempt.failure.code}</code> : null}
            </td>
            <td>
              <Time at={attempt.created_at} />
            </td>
            <td>
              <Time at={attempt.enrolled_at} />
            </td>
            <td>
              <Time at={attempt.ended_at} />
            </td>
            <td>
              {attempt.task ? (
                <details>
                  <summary>Show</summary>
                  <code className="long">{attempt.task}</code>
                </details>
              ) : (
                "–"
              )}
            </td>
          </tr>
        ))}
      </Table>
    </section>
  );
}

function Receipt({ run }: { run: Detail }) {
  const path = { run: run.id };
  const receipt = useQuery({
    queryKey: ["receipt", run.id, run.state, run.streams_delivered],
    queryFn: () => good(api.GET("/v1/runs/{run}/receipt", { params: { path } })),
    enabled: run.kind === "sync" && run.ended_at != null,
  });
  if (receipt.data === undefined) return receipt.isError ? <Trouble error={receipt.error} /> : null;
  return (
    <section>
      <h2>Receipt</h2>
      <p className="quiet">
        Digests only. The receipts themselves stand in your bucket; <code>waybill-worker verify</code> checks them there.
      </p>
      <Table caption="Receipt" head={["Stream", "State", "Rows delivered", "Bytes", "Files", "Row count is", "Version", "Digest"]}>
        {receipt.data.streams.map((stream) => (
          <tr key={stream.index}>
            <th scope="row">
              <Name>{stream.name}</Name>
            </th>
            <td>
              <Status state={stream.state} />
            </td>
            <td className="number">{showCount(stream.rows)}</td>
            <td className="number">{showBytes(stream.bytes)}</td>
            <td className="number">{showCount(stream.files)}</td>
            <td>{stream.grade == null ? "–" : words(stream.grade)}</td>
            <td className="number">{showCount(stream.version)}</td>
            <td>{stream.digest == null ? "–" : <code className="long">{stream.digest}</code>}</td>
          </tr>
        ))}
      </Table>
    </section>
  );
}
