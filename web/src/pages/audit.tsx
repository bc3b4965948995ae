// Who did what: the organization's audit chain, newest first, page by page.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { api, good } from "../api/client";
import { inert, UNKNOWN, words } from "../ui/format";
import { Heading } from "../ui/heading";
import { Listing } from "../ui/list";
import { Pager } from "../ui/pager";
import { Name, Table, Time } from "../ui/parts";

/** What was acted on, with the way to it where it has a page. */
function Thing({ id }: { id: string }) {
  const name = <code className="long">{inert(id)}</code>;
  if (id.startsWith("run_")) {
    return (
      <Link to="/runs/$run" params={{ run: id }} search={{}}>
        {name}
      </Link>
    );
  }
  return name;
}

export function Audit() {
  const { cursor } = useSearch({ from: "/audit" });
  const list = useQuery({
    queryKey: ["audit", cursor],
    queryFn: () => good(api.GET("/v1/audit", { params: { query: { cursor } } })),
    placeholderData: keepPreviousData,
  });
  return (
    <>
      <Heading title="Audit" />
      <p className="quiet">Each entry holds the hash of the one before it, so that none is changed or taken out unseen.</p>
      <Listing list={list} empty={<p className="card">Nothing was done yet.</p>}>
        {(items) => (
          <Table caption="Audit" head={["Number", "When", "Action", "Outcome", "On", "Who", "Address"]}>
            {items.map((entry) => (
              <tr key={entry.seq}>
                <th scope="row">{entry.seq}</th>
                <td>
                  <Time at={entry.at} />
                </td>
                <td>{words(entry.action)}</td>
                <td>{entry.outcome === "refused" ? <strong>refused</strong> : words(entry.outcome)}</td>
                <td>
                  <Thing id={entry.object} />
                </td>
                <td>
                  <code className="long">{inert(entry.actor)}</code>
                </td>
                <td>{entry.ip == null ? UNKNOWN : <Name>{entry.ip}</Name>}</td>
              </tr>
            ))}
          </Table>
        )}
      </Listing>
      <Pager to="/audit" cursor={cursor} next={list.data?.next_cursor} />
    </>
  );
}
