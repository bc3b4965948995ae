// People and roles: the accounts of the organization, and who is in the project with which role. What may be changed the server says.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, good, type Schemas } from "../../api/client";
import { inert } from "../../ui/format";
import { Heading } from "../../ui/heading";
import { Listing } from "../../ui/list";
import { ShownOnce } from "../../ui/once";
import { Pager } from "../../ui/pager";
import { Action, Name, Table, Time } from "../../ui/parts";
import { OfProject, useProject } from "../../ui/project";
import { Invitations } from "./invitations";
import { SettingsTabs } from "./tabs";

type User = Schemas["User"];
type Member = Schemas["Member"];

const IN_ORGANIZATION = ["member", "administrator", "owner"];
const IN_PROJECT = ["viewer", "operator", "editor", "admin", "owner"];

/** The tag of an object as it is now; refused where it is not any more what the page shows. */
async function tagOf<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>, same: (now: T) => boolean) {
  const { response } = await call;
  if (!same(await good(call))) throw new Error("It was changed meanwhile: look at it as it is now, and choose again.");
  return { "If-Match": response.headers.get("etag") ?? "" };
}

async function changeUser(user: User, body: Schemas["UserUpdate"]) {
  const path = { user: user.id };
  const same = (now: User) => now.role === user.role && now.disabled === user.disabled;
  const header = await tagOf(api.GET("/v1/users/{user}", { params: { path } }), same);
  return good(api.PATCH("/v1/users/{user}", { params: { path, header }, body }));
}

async function changeMember(member: Member, role: string | null) {
  const path = { project: member.project_id, user: member.user_id };
  const same = (now: Member) => now.role === member.role;
  const header = await tagOf(api.GET("/v1/projects/{project}/members/{user}", { params: { path } }), same);
  if (role === null) return good(api.DELETE("/v1/projects/{project}/members/{user}", { params: { path, header } }));
  return good(api.PATCH("/v1/projects/{project}/members/{user}", { params: { path, header }, body: { role } }));
}

interface RoleProps {
  of: Schemas["AllowedAction"][] | undefined;
  action: string;
  /** The person. */
  email: string;
  role: string;
  among: string[];
  change: (role: string) => Promise<unknown>;
}

function Role({ of, action, email, role, among, change }: RoleProps) {
  const [chosen, choose] = useState<string | null>(null);
  const now = chosen ?? role;
  return (
    <div className="role">
      <select aria-label={`Role of ${inert(email)}`} value={now} onChange={(event) => choose(event.target.value)}>
        {(among.includes(role) ? among : [...among, role]).map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
      <Action
        of={of}
        action={action}
        label="Change role"
        on={email}
        first={now === role ? "choose another role first" : null}
        run={() => change(now).finally(() => choose(null))}
      />
    </div>
  );
}

const State = ({ disabled }: { disabled: boolean | undefined }) => (disabled ? <strong>disabled</strong> : <>may sign in</>);

export function Members() {
  return (
    <>
      <SettingsTabs />
      <Heading title="People and roles" />
      <InProject />
      <InOrganization />
      <Invitations inOrganization={IN_ORGANIZATION} inProject={IN_PROJECT} />
    </>
  );
}

function InProject() {
  const project = useProject();
  const list = useQuery({
    queryKey: ["members", project.id],
    queryFn: () => good(api.GET("/v1/projects/{project}/members", { params: { path: { project: project.id ?? "" }, query: { limit: "200" } } })),
    enabled: project.id !== undefined,
    placeholderData: keepPreviousData,
  });
  return (
    <section>
      <h2>In the project</h2>
      <OfProject project={project} />
      <Listing
        list={list}
        project={project}
        empty={
          <p className="card">
            Nobody has a role of this project alone. Take somebody in: <code>waybill member add E-MAIL --role viewer</code>.
          </p>
        }
      >
        {(items) => (
          <Table caption="Members of the project" head={["Person", "State", "Since", "Role", "Take out"]}>
            {items.map((member) => (
              <tr key={member.user_id}>
                <th scope="row">
                  <Name>{member.email}</Name>
                </th>
                <td>
                  <State disabled={member.disabled} />
                </td>
                <td>
                  <Time at={member.created_at} />
                </td>
                <td>
                  <Role
                    of={member.allowed_actions}
                    action="member_update"
                    email={member.email}
                    role={member.role}
                    among={IN_PROJECT}
                    change={(role) => changeMember(member, role)}
                  />
                </td>
                <td>
                  <Action of={member.allowed_actions} action="member_delete" label="Take out" on={member.email} run={() => changeMember(member, null)} />
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Listing>
      {list.data?.next_cursor ? <p className="quiet">The first 200 are shown: the command line lists all of them.</p> : null}
    </section>
  );
}

function InOrganization() {
  const { cursor } = useSearch({ from: "/settings/members" });
  const [reset, setReset] = useState<{ email: string; token: string } | null>(null);
  const list = useQuery({
    queryKey: ["users", cursor],
    queryFn: () => good(api.GET("/v1/users", { params: { query: { cursor } } })),
    placeholderData: keepPreviousData,
  });
  return (
    <section>
      <h2>In the organization</h2>
      <p className="quiet">Who is disabled can't sign in, and their sessions end at once.</p>
      <Listing list={list} empty={<p className="card">Nobody is here that you may see.</p>}>
        {(items) => (
          <Table caption="People of the organization" head={["Person", "State", "Since", "Role", "Sign-in"]}>
            {items.map((user) => (
              <tr key={user.id}>
                <th scope="row">
                  <Name>{user.email}</Name>
                </th>
                <td>
                  <State disabled={user.disabled} />
                </td>
                <td>
                  <Time at={user.created_at} />
                </td>
                <td>
                  <Role
                    of={user.allowed_actions}
                    action="user_update"
                    email={user.email}
                    role={user.role}
                    among={IN_ORGANIZATION}
                    change={(role) => changeUser(user, { role })}
                  />
                </td>
                <td>
                  <Action
                    of={user.allowed_actions}
                    action="user_update"
                    label={user.disabled ? "Enable" : "Disable"}
                    on={user.email}
                    run={() => changeUser(user, { disabled: !user.disabled })}
                  />
                  <Action
                    of={user.allowed_actions}
                    action="user_password_reset"
                    label="Reset password"
                    on={user.email}
                    run={async () => {
                      const path = { user: user.id };
                      const made = await good(api.POST("/v1/users/{user}/password-reset", { params: { path }, body: {} }));
                      setReset({ email: user.email, token: made.token });
                    }}
                  />
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Listing>
      {reset === null ? null : <ShownOnce page="reset" email={reset.email} token={reset.token} />}
      <Pager to="/settings/members" cursor={cursor} next={list.data?.next_cursor} />
    </section>
  );
}
