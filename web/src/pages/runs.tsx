// The runs of a project, newest first. What is filtered stands in the address, and the server filters.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { api, good, type Schemas } from "../api/client";
import { POLL_MS } from "../live/poll";
import { showDuration, UNKNOWN, words } from "../ui/format";
import { Heading } from "../ui/heading";
import { Listing } from "../ui/list";
import { Pager } from "../ui/pager";
import { Name, Status, Table, Time } from "../ui/parts";
import { OfProject, useProject } from "../ui/project";

export const STATES = ["queued", "launching", "running", "succeeded", "failed", "canceled"] as const;
export const KINDS = ["sync", "preview", "check", "discover", "test"] as const;

export function tookOf(run: Pick<Schemas["Run"], "started_at" | "ended_at">): string {
  if (run.started_at == null || run.ended_at == null) return UNKNOWN;
  return showDuration(Date.parse(run.ended_at) - Date.parse(run.started_at));
}

const BEGUN: Record<string, string> = { manual: "by hand", schedule: "by its schedule", retry: "as a retry" };

export const howBegun = (trigger: string): string => BEGUN[trigger] ?? words(trigger);

const NEVER = "Nothing ran in this project yet: Run now on the page of pipelines starts a first one.";

export function RunTable({ runs, caption }: { runs: Schemas["Run"][]; caption: string }) {
  return (
    <Table caption={caption} head={["Run", "State", "Begun", "Took", "Delivered", "Started"]}>
      {runs.map((run) => (
        <tr key={run.id}>
          <th scope="row">
            <Link to="/runs/$run" params={{ run: run.id }} search={{}}>
              <Name>{run.subject}</Name> <span className="quiet">{words(run.kind)}</span>
            </Link>
            <code className="under">{run.id}</code>
          </th>
          <td>
            <Status state={run.state} />
            {run.failure ? <code className="under">{run.failure.code}</code> : null}
          </td>
          <td>
            <Time at={run.created_at} />
          </td>
          <td className="number">{tookOf(run)}</td>
          <td className="number">
            {run.streams_delivered} of {run.streams_total}
          </td>
          <td>{howBegun(run.trigger)}</td>
        </tr>
      ))}
    </Table>
  );
}

export function Runs() {
  const search = useSearch({ from: "/runs" });
  const navigate = useNavigate({ from: "/runs" });
  const { pipeline, state, kind, cursor } = search;
  const project = useProject();
  const query = { project: project.id, pipeline, state, kind, cursor };
  const list = useQuery({
    queryKey: ["runs", query],
    queryFn: () => good(api.GET("/v1/runs", { params: { query } })),
    enabled: project.id !== undefined,
    refetchInterval: POLL_MS,
    placeholderData: keepPreviousData,
  });
  const filtered = pipeline !== undefined || state !== undefined || kind !== undefined || cursor !== undefined;
  const filter = (change: Partial<typeof search>) =>
    void navigate({ search: (old) => ({ ...old, ...change, cursor: undefined }), replace: true });
  return (
    <>
      <Heading title="Runs" />
      <OfProject project={project} />
      <form className="filters" role="search" aria-label="Filter runs" onSubmit={(event) => event.preventDefault()}>
        <Choice label="State" value={state} among={STATES} choose={(chosen) => filter({ state: chosen })} />
        <Choice label="Kind" value={kind} among={KINDS} choose={(chosen) => filter({ kind: chosen })} />
        {pipeline === undefined ? null : (
          <button type="button" onClick={() => filter({ pipeline: undefined })}>
            Runs of every pipeline
          </button>
        )}
      </form>
      <Listing list={list} project={project} empty={<p className="card">{filtered ? "No run is like this." : NEVER}</p>}>
        {(items) => <RunTable runs={items} caption="Runs" />}
      </Listing>
      <Pager to="/runs" cursor={cursor} next={list.data?.next_cursor} />
    </>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T | undefined;
  among: readonly T[];
  choose: (chosen: T | undefined) => void;
}

export function Choice<T extends string>({ label, value, among, choose }: ChoiceProps<T>) {
  return (
    <label className="pick">
      <span>{label}</span>
      <select value={value ?? ""} onChange={(event) => choose(among.find((one) => one === event.target.value))}>
        <option value="">all</option>
        {among.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}
