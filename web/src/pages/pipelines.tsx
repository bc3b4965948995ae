// All pipelines of a project: how each fared last, when it runs next, and the button that starts it.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { api, good, once, type Schemas } from "../api/client";
import { POLL_MS } from "../live/poll";
import { Heading } from "../ui/heading";
import { Listing } from "../ui/list";
import { Pager } from "../ui/pager";
import { Action, Name, Status, Table, Time } from "../ui/parts";
import { OfProject, useProject } from "../ui/project";

export const stateOf = (pipeline: Schemas["Pipeline"]): string =>
  pipeline.paused ? "paused" : (pipeline.last_run?.state ?? "never ran");

export function RunNow({ pipeline }: { pipeline: Schemas["Pipeline"] }) {
  const navigate = useNavigate();
  async function start() {
    const run = await good(api.POST("/v1/runs", { body: { pipeline_id: pipeline.id }, params: { header: once() } }));
    await navigate({ to: "/runs/$run", params: { run: run.id }, search: {} });
  }
  return <Action of={pipeline.allowed_actions} action="run_start" label="Run now" on={pipeline.name} run={start} primary />;
}

export function Pipelines() {
  const { cursor } = useSearch({ from: "/pipelines" });
  const project = useProject();
  const list = useQuery({
    queryKey: ["pipelines", project.id, cursor],
    queryFn: () => good(api.GET("/v1/pipelines", { params: { query: { project: project.id, cursor, sort: "name" } } })),
    enabled: project.id !== undefined,
    refetchInterval: POLL_MS,
    placeholderData: keepPreviousData,
  });
  return (
    <>
      <Heading title="Pipelines" />
      <OfProject project={project} />
      <Listing list={list} project={project} empty={<Empty />}>
        {(items) => (
          <Table caption="Pipelines" head={["Pipeline", "Status", "Last run", "Next run", "Streams", "Run"]}>
            {items.map((pipeline) => (
              <tr key={pipeline.id}>
                <th scope="row">
                  <Link to="/pipelines/$pipeline" params={{ pipeline: pipeline.id }} search={{}}>
                    <Name>{pipeline.name}</Name>
                  </Link>
                  <span className="under">
                    <Name>{pipeline.from}</Name> → <Name>{pipeline.to}</Name>
                  </span>
                </th>
                <td>
                  <Status state={stateOf(pipeline)} />
                  {pipeline.last_run?.failure ? <code className="under">{pipeline.last_run.failure.code}</code> : null}
                </td>
                <td>
                  {pipeline.last_run ? (
                    <Link to="/runs/$run" params={{ run: pipeline.last_run.id }} search={{}}>
                      <Time at={pipeline.last_run.created_at} />
                    </Link>
                  ) : (
                    <Time at={null} />
                  )}
                </td>
                <td>
                  <Time at={pipeline.next_run_at} />
                </td>
                <td className="number">{pipeline.streams.length}</td>
                <td>
                  <RunNow pipeline={pipeline} />
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Listing>
      <Pager to="/pipelines" cursor={cursor} next={list.data?.next_cursor} />
    </>
  );
}

const Empty = () => (
  <div className="card">
    <h2>No pipelines in this project yet</h2>
    <p>
      Write a pipeline file and apply it: <code>waybill apply -f shop.waybill.yaml</code>. The folder <code>examples</code> has some to
      begin with.
    </p>
  </div>
);
