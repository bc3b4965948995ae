// People who are asked to come in: each makes their own account with a token that is shown once, here, to whoever asked them.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, good, type Schemas } from "../../api/client";
import { Listing } from "../../ui/list";
import { ShownOnce } from "../../ui/once";
import { Action, Name, Table, Time, Trouble } from "../../ui/parts";
import { useProject } from "../../ui/project";

type Invitation = Schemas["Invitation"];

/** The lists of roles are those of the page around. */
export function Invitations({ inOrganization, inProject }: { inOrganization: string[]; inProject: string[] }) {
  const list = useQuery({
    queryKey: ["invitations"],
    queryFn: () => good(api.GET("/v1/invitations", { params: { query: { limit: "200" } } })),
  });
  const open = (items: Invitation[]) => items.filter((one) => one.state === "open" || one.state === "expired");
  return (
    <section>
      <h2>Invitations</h2>
      <p className="quiet">Who is invited makes their own account, once, within 72 hours.</p>
      {list.data === undefined ? null : <Ask inOrganization={inOrganization} inProject={inProject} />}
      <Listing list={list} empty={null}>
        {(items) =>
          open(items).length === 0 ? null : (
            <Table caption="Invitations" head={["Address", "State", "Until", "Role", "Take back"]}>
              {open(items).map((one) => (
                <tr key={one.id}>
                  <th scope="row">
                    <Name>{one.email}</Name>
                  </th>
                  <td>{one.state}</td>
                  <td>
                    <Time at={one.expires_at} />
                  </td>
                  <td>{one.project_role ? `${one.role}, and ${one.project_role} of a project` : one.role}</td>
                  <td>
                    <Action
                      of={one.allowed_actions}
                      action="invitation_revoke"
                      label="Take back"
                      on={one.email}
                      run={() => good(api.POST("/v1/invitations/{invitation}/revoke", { params: { path: { invitation: one.id } } }))}
                    />
                  </td>
                </tr>
              ))}
            </Table>
          )
        }
      </Listing>
      {list.data?.next_cursor ? <p className="quiet">The first 200 are looked at: the command line lists all of them.</p> : null}
    </section>
  );
}

function Ask({ inOrganization, inProject }: { inOrganization: string[]; inProject: string[] }) {
  const project = useProject();
  const queries = useQueryClient();
  const [made, setMade] = useState<Schemas["InvitationMade"] | null>(null);
  const ask = useMutation({
    mutationFn: (body: Schemas["InvitationCreate"]) => good(api.POST("/v1/invitations", { body })),
    onSuccess: setMade,
    onSettled: () => queries.invalidateQueries({ queryKey: ["invitations"] }),
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const there = String(form.get("project_role"));
    const taken = there === "" || project.id === undefined ? {} : { project_id: project.id, project_role: there };
    setMade(null);
    ask.mutate({ email: String(form.get("email")), role: String(form.get("role")), ...taken });
  }

  return (
    <>
      <form onSubmit={submit} className="card ask" aria-label="Invite a person" aria-busy={ask.isPending}>
        <label htmlFor="invited">E-mail address</label>
        <input id="invited" name="email" type="email" autoComplete="off" required />
        <label htmlFor="invited-role">Role in the organization</label>
        <select id="invited-role" name="role">
          {inOrganization.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <label htmlFor="invited-project">Role in the project</label>
        <select id="invited-project" name="project_role">
          <option value="">none</option>
          {inProject.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <button type="submit" disabled={ask.isPending}>
          {ask.isPending ? "Asking…" : "Invite"}
        </button>
      </form>
      {ask.isError ? <Trouble error={ask.error} /> : null}
      {made?.token ? <ShownOnce page="accept" email={made.invitation.email} token={made.token} /> : null}
    </>
  );
}
