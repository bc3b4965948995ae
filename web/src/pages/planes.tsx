// The data planes: where workers run, whether they take runs, and what the last check found of their trust.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { api, good, type Schemas } from "../api/client";
import { POLL_MS } from "../live/poll";
import { inert, UNKNOWN } from "../ui/format";
import { Heading } from "../ui/heading";
import { Listing } from "../ui/list";
import { Pager } from "../ui/pager";
import { Action, Name, Table, Time } from "../ui/parts";

type Plane = Schemas["DataPlane"];

const KINDS: Record<string, string> = { process: "processes beside the orchestrator", agent: "an agent", "aws-ecs": "AWS ECS" };

const drain = (plane: Plane) => good(api.POST("/v1/data-planes/{data_plane}/drain", { params: { path: { data_plane: plane.id } } }));
const resume = (plane: Plane) => good(api.POST("/v1/data-planes/{data_plane}/resume", { params: { path: { data_plane: plane.id } } }));

/** The last check's finding; only what stands in a cloud is checked. */
function Trust({ plane }: { plane: Plane }) {
  if (plane.kind !== "aws-ecs") return <span className="quiet">{UNKNOWN}</span>;
  if (plane.trust == null) {
    return (
      <>
        not checked yet <code className="under">waybill data-plane check {inert(plane.name)}</code>
      </>
    );
  }
  return (
    <>
      {plane.trust === "open" ? <strong>open: nothing is started there</strong> : plane.trust}
      <span className="under">
        checked <Time at={plane.checked_at} />
      </span>
    </>
  );
}

export function Planes() {
  const { cursor } = useSearch({ from: "/data-planes" });
  const list = useQuery({
    queryKey: ["data-planes", cursor],
    queryFn: () => good(api.GET("/v1/data-planes", { params: { query: { cursor, sort: "name" } } })),
    refetchInterval: POLL_MS,
    placeholderData: keepPreviousData,
  });
  return (
    <>
      <Heading title="Data planes" />
      <p className="quiet">One that is drained ends its runs and starts no more; runs that are triggered meanwhile wait.</p>
      <Listing
        list={list}
        empty={
          <p className="card">
            There is no data plane yet. Make one: <code>waybill data-plane --help</code> says how.
          </p>
        }
      >
        {(items) => (
          <Table caption="Data planes" head={["Data plane", "State", "Region", "Trust", "Made", "Runs"]}>
            {items.map((plane) => (
              <tr key={plane.id}>
                <th scope="row">
                  <Name>{plane.name}</Name>
                  <span className="under">{KINDS[plane.kind] ?? inert(plane.kind)}</span>
                </th>
                <td>
                  {plane.draining_since == null ? (
                    "takes runs"
                  ) : (
                    <>
                      <strong>drained</strong>
                      <span className="under">
                        since <Time at={plane.draining_since} />
                      </span>
                    </>
                  )}
                </td>
                <td>{inert(plane.aws_ecs?.region ?? plane.settings.region ?? UNKNOWN)}</td>
                <td>
                  <Trust plane={plane} />
                </td>
                <td>
                  <Time at={plane.created_at} />
                </td>
                <td>
                  {plane.draining_since == null ? (
                    <Action of={plane.allowed_actions} action="data_plane_drain" label="Drain" on={plane.name} run={() => drain(plane)} />
                  ) : (
                    <Action of={plane.allowed_actions} action="data_plane_resume" label="Resume" on={plane.name} run={() => resume(plane)} />
                  )}
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Listing>
      <Pager to="/data-planes" cursor={cursor} next={list.data?.next_cursor} />
    </>
  );
}
