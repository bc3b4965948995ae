// One's own sessions, which can be ended, and how one signed in or somebody tried to.
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { api, good, type Schemas } from "../../api/client";
import { UNKNOWN, words } from "../../ui/format";
import { Heading } from "../../ui/heading";
import { Listing } from "../../ui/list";
import { Pager } from "../../ui/pager";
import { Name, Table, Time, Trouble } from "../../ui/parts";
import { SettingsTabs } from "./tabs";

const end = (body: Schemas["SessionRevoke"]) => good(api.POST("/v1/sessions:revoke", { body }));

/** Ends one session, or all others. One's own sessions are everybody's to end. */
function End({ label, spoken, session }: { label: string; spoken: string; session: string | null }) {
  const queries = useQueryClient();
  const press = useMutation({ mutationFn: () => end(session === null ? {} : { session_id: session }), onSettled: () => queries.invalidateQueries() });
  return (
    <div className="action">
      <button type="button" aria-label={spoken} aria-disabled={press.isPending} onClick={() => press.isPending || press.mutate()}>
        {press.isPending ? "Asking…" : label}
      </button>
      {press.isError ? <Trouble error={press.error} /> : null}
    </div>
  );
}

export function Sessions() {
  return (
    <>
      <SettingsTabs />
      <Heading title="My sessions" />
      <Open />
      <SignIns />
    </>
  );
}

function Open() {
  const list = useQuery({
    queryKey: ["sessions"],
    queryFn: () => good(api.GET("/v1/sessions", { params: { query: { limit: "200" } } })),
  });
  const others = list.data?.items.some((session) => !session.current) ?? false;
  return (
    <section>
      <h2>Open sessions</h2>
      <p className="quiet">One that you don't know is somebody else's: end it, and tell whoever looks after the accounts.</p>
      <Listing list={list} empty={<p className="card">No session is open.</p>}>
        {(items) => (
          <Table caption="Open sessions" head={["Begun", "Used last", "Ends", "Address", "End"]}>
            {items.map((session) => (
              <tr key={session.id}>
                <th scope="row">
                  <Time at={session.created_at} />
                  {session.current ? <span className="under">this one</span> : null}
                </th>
                <td>
                  <Time at={session.used_at} />
                </td>
                <td>
                  <Time at={session.expires_at} />
                </td>
                <td>{session.ip == null ? UNKNOWN : <Name>{session.ip}</Name>}</td>
                <td>
                  {session.current ? (
                    <span className="quiet">Sign out ends it</span>
                  ) : (
                    <End label="End" spoken={`End the session of ${session.created_at}`} session={session.id} />
                  )}
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Listing>
      {others ? <End label="End all other sessions" spoken="End all other sessions" session={null} /> : null}
    </section>
  );
}

const HOW: Record<string, string> = {
  login: "with the password",
  setup: "as the first account",
  refresh_token_reused: "used tokens came again, which ended the session",
};

function SignIns() {
  const { cursor } = useSearch({ from: "/settings/sessions" });
  const list = useQuery({
    queryKey: ["sign-ins", cursor],
    queryFn: () => good(api.GET("/v1/sign-ins", { params: { query: { cursor } } })),
    placeholderData: keepPreviousData,
  });
  return (
    <section>
      <h2>Sign-ins</h2>
      <Listing list={list} empty={<p className="card">Nobody signed in as you, and nobody tried.</p>}>
        {(items) => (
          <Table caption="Sign-ins" head={["When", "Outcome", "How", "Address"]}>
            {items.map((entry) => (
              <tr key={entry.seq}>
                <th scope="row">
                  <Time at={entry.at} />
                </th>
                <td>{entry.outcome === "refused" ? <strong>refused</strong> : words(entry.outcome)}</td>
                <td>{HOW[entry.how] ?? words(entry.how)}</td>
                <td>{entry.ip == null ? UNKNOWN : <Name>{entry.ip}</Name>}</td>
              </tr>
            ))}
          </Table>
        )}
      </Listing>
      <Pager to="/settings/sessions" cursor={cursor} next={list.data?.next_cursor} />
    </section>
  );
}
