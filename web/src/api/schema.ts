// Made from docs/reference/openapi.json by web/codegen; never written by hand.
export interface paths {
    "/v1/access": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether a person may do something with an object, by which role, and what it takes */
        get: operations["access_explain"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/agents": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Agents */
        get: operations["agent_list"];
        put?: never;
        /** Invite an agent: makes its one-time token */
        post: operations["agent_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/agents/{agent}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One agent */
        get: operations["agent_get"];
        put?: never;
        post?: never;
        /** Remove an agent; attempts that it holds are fenced */
        delete: operations["agent_delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/agents/{agent}/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Approve the key that an agent presented, named by its fingerprint */
        post: operations["agent_approve"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/agents/{agent}/disable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Disable an agent at once: its stream is closed, attempts that it holds are fenced */
        post: operations["agent_disable"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/agents/{agent}/enable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Enable a disabled agent */
        post: operations["agent_enable"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/agents/{agent}/invite": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Invite an agent anew; what it had before is void */
        post: operations["agent_invite"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/attempts/{attempt}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One attempt */
        get: operations["attempt_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Audit entries, newest first */
        get: operations["audit_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/connections": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Connections of a project */
        get: operations["connection_list"];
        put?: never;
        /** Make a connection */
        post: operations["connection_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/connections/{connection}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One connection */
        get: operations["connection_get"];
        put?: never;
        post?: never;
        /** Remove a connection that nothing uses */
        delete: operations["connection_delete"];
        options?: never;
        head?: never;
        /** Change how a connection is reached */
        patch: operations["connection_update"];
        trace?: never;
    };
    "/v1/data-planes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Data planes */
        get: operations["data_plane_list"];
        put?: never;
        /** Register a data plane */
        post: operations["data_plane_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/data-planes/{data_plane}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One data plane */
        get: operations["data_plane_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Change a data plane's settings */
        patch: operations["data_plane_update"];
        trace?: never;
    };
    "/v1/data-planes/{data_plane}/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask the cloud, permission by permission, what the role of a data plane may do */
        post: operations["data_plane_check"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/data-planes/{data_plane}/drain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Launch nothing there any more and let workers finish only the streams that they have begun; runs wait */
        post: operations["data_plane_drain"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/data-planes/{data_plane}/policy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The policies that the role of a data plane in AWS needs, as Terraform applies them */
        get: operations["data_plane_policy"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/data-planes/{data_plane}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let a data plane that was drained take runs again; those that wait go on */
        post: operations["data_plane_resume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/data-planes/{data_plane}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Start one task of a data plane that enrols and leaves; the run that is answered tells its steps */
        post: operations["data_plane_test"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Follow runs: messages `run` (the run as it is), `event` and, when all have ended, `end` */
        get: operations["events_watch"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/invitations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Invitations, oldest first */
        get: operations["invitation_list"];
        put?: never;
        /** Ask a person in: the token in the answer makes their account, once, within 72 hours */
        post: operations["invitation_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/invitations/{invitation}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One invitation */
        get: operations["invitation_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/invitations/{invitation}/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take an invitation back; one that is over stays as it is */
        post: operations["invitation_revoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/invitations:accept": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make the own account with the token of an invitation, and log in */
        post: operations["invitation_accept"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/keys/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One key */
        get: operations["key_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/keys/{key}/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Revoke a key: it is refused with the next request */
        post: operations["key_revoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Log in */
        post: operations["login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End the own session */
        post: operations["logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/organizations/{organization}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The caller's organization */
        get: operations["organization_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Change the own password; every other session ends */
        post: operations["password_change"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/password-resets:use": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Choose a new password with the token of a link, and log in; every session of before ends */
        post: operations["password_reset_use"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/pipelines": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Pipelines of a project */
        get: operations["pipeline_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/pipelines/{pipeline}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One pipeline */
        get: operations["pipeline_get"];
        put?: never;
        post?: never;
        /** Remove a pipeline; what it wrote stays */
        delete: operations["pipeline_delete"];
        options?: never;
        head?: never;
        /** Pause or resume a pipeline */
        patch: operations["pipeline_update"];
        trace?: never;
    };
    "/v1/pipelines/{pipeline}/accept-epoch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Go on from an epoch that stood too far in the future: the one in `epoch_ahead` */
        post: operations["pipeline_accept_epoch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/pipelines/{pipeline}/description": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a pipeline does to rows on their way, in words */
        get: operations["pipeline_describe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/pipelines/{pipeline}/schedule": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A pipeline's schedule */
        get: operations["schedule_get"];
        /** Give a pipeline its schedule: If-None-Match: * for the first one, If-Match to replace one */
        put: operations["schedule_set"];
        post?: never;
        /** Take a pipeline's schedule away */
        delete: operations["schedule_delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/pipelines/{pipeline}/versions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Versions of a pipeline, newest first */
        get: operations["pipeline_version_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/projects": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Projects */
        get: operations["project_list"];
        put?: never;
        /** Make a project */
        post: operations["project_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/projects/{project}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One project */
        get: operations["project_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Rename a project, or say which regions it allows */
        patch: operations["project_update"];
        trace?: never;
    };
    "/v1/projects/{project}/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Keys of a project, oldest first */
        get: operations["key_list"];
        put?: never;
        /** Make a key for a program: it reaches this project, and may what its maker may there, up to its role */
        post: operations["key_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/projects/{project}/members": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Members of a project, by their ids */
        get: operations["member_list"];
        put?: never;
        /** Take a person of the organization into a project */
        post: operations["member_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/projects/{project}/members/{user}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One member of a project */
        get: operations["member_get"];
        put?: never;
        post?: never;
        /** Take a member out of a project */
        delete: operations["member_delete"];
        options?: never;
        head?: never;
        /** Change a member's role */
        patch: operations["member_update"];
        trace?: never;
    };
    "/v1/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Exchange a refresh token for new tokens */
        post: operations["refresh"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Runs, newest first where no order is asked for */
        get: operations["run_list"];
        put?: never;
        /** Start a run of a pipeline, or look at a connection */
        post: operations["run_start"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs/{run}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One run with its streams and attempts */
        get: operations["run_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs/{run}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask a run to stop */
        post: operations["run_cancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs/{run}/discovery": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a discovery found */
        get: operations["run_discovery"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs/{run}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Events of a run, oldest first; as text with Accept: text/plain. The full log is in the customer's bucket */
        get: operations["run_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs/{run}/receipt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Digests of a run's receipts */
        get: operations["run_receipt"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs/{run}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Start a new run with the streams that a final run did not deliver */
        post: operations["run_retry"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/runs/{run}/trail": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Calls to the customer's cloud for a run, oldest first; looks at tasks that serve all runs are not among them */
        get: operations["run_trail"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The caller's own login sessions, oldest first */
        get: operations["session_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sessions:revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End one of the caller's own sessions, or all but the one that asks */
        post: operations["session_revoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/setup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make the organization and its owner with the one-time setup token */
        post: operations["setup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sign-ins": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How the caller signed in, and who tried to as them, newest first */
        get: operations["sign_in_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/specs:apply": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make a project's connections, pipelines and schedules as a document says */
        post: operations["spec_apply"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/specs:validate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Say what is wrong with a document */
        post: operations["spec_validate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/trail": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Calls to customers' clouds, by the time of the last call of each entry, oldest first */
        get: operations["trail_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** People of the organization */
        get: operations["user_list"];
        put?: never;
        /** Make an account: a member, unless another role is named */
        post: operations["user_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/users/{user}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One person */
        get: operations["user_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Change a person's role, disable or enable them; who is disabled has no session any more */
        patch: operations["user_update"];
        trace?: never;
    };
    "/v1/users/{user}/password-reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make a link by which a person chooses a new password, once */
        post: operations["user_password_reset"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/users/{user}/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A person's login sessions, oldest first */
        get: operations["user_session_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/users/{user}/sessions:revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End one of a person's sessions, or all of them */
        post: operations["user_session_revoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/users/{user}/sign-ins": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How a person signed in, and who tried to as them, newest first */
        get: operations["user_sign_in_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/whoami": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is logged in */
        get: operations["whoami"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Whether a person may do something with an object, by which role, and what it takes. */
        AccessExplained: {
            /** @description The operation. */
            action: string;
            /** @description Whether they would be let in. What the object's state allows is another matter: see its `allowed_actions`. */
            allowed: boolean;
            /** @description The person's e-mail address. */
            email: string;
            /** @description The object; none where the question was about none. */
            object?: string | null;
            /** @description What the operation asks for; none where it is open to everybody. */
            permission?: string | null;
            /** @description The project that the object belongs to; none where it belongs to the organization. */
            project_id?: string | null;
            /** @description All of it in a sentence. */
            reason: string;
            /**
             * Format: int32
             * @description The status that they would get in place of an answer: 401 where the account is disabled, 404 where they do not see the object, 403 otherwise.
             */
            refused_with?: number | null;
            /** @description The person's role that counts there. */
            role?: string | null;
            /** @description Where that role is held: `organization` or `project`. */
            scope?: string | null;
            /** @description The least role that would do. */
            takes?: string | null;
            /** @description The person. */
            user_id: string;
        };
        /** @description An agent. */
        Agent: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            certificate_until?: components["schemas"]["Timestamp"] | null;
            /** @description Whether it is heard now: an own view, of the last message that was of use. */
            connected: boolean;
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Where it starts workers. */
            data_plane_id: string;
            /** @description It ends its work and takes no more. */
            draining: boolean;
            /** @description SHA-256 of its public key: compare it with what the agent printed before you approve it. */
            fingerprint?: string | null;
            /**
             * Format: int64
             * @description Generation of its certificate; rises with every renewal.
             */
            generation: number;
            /** @description Its id. */
            id: string;
            invited_until?: components["schemas"]["Timestamp"] | null;
            /** @description Its name; unique in the organization. */
            name: string;
            /** @description Its program's version. */
            program_version?: string | null;
            /** @description Role by which it calls its own cloud, as it says; where it starts workers as tasks there. */
            role_arn?: string | null;
            seen_at?: components["schemas"]["Timestamp"] | null;
            /**
             * Format: int64
             * @description Most workers at once, as it says.
             */
            slots: number;
            /** @description `invited`, `pending` (its key waits for an approval), `active`, `disabled` or `locked` (its identity was copied). */
            state: string;
            /**
             * Format: int64
             * @description Workers that it holds now.
             */
            workers: number;
        };
        /** @description Approves an agent's key. */
        AgentApprove: {
            /** @description What the agent printed on its own host: `sha256:` and 64 hexadecimal digits. */
            fingerprint: string;
        };
        /** @description Invites an agent. */
        AgentCreate: {
            /** @description Where it will start workers: a data plane of kind `agent`. */
            data_plane_id: string;
            /** @description Lower-case letters, digits and dashes, at most 63. */
            name: string;
            /** @description Whether an administrator must approve the agent's key before it gets a certificate. */
            needs_approval?: boolean;
        };
        /** @description Invites an agent anew. */
        AgentInvite: {
            /** @description Whether an administrator must approve the agent's key before it gets a certificate. */
            needs_approval?: boolean;
        };
        /** @description An invitation, with what is to be taken to the agent's host. */
        AgentInvited: {
            /** @description The agent. */
            agent: components["schemas"]["Agent"];
            /** @description Fingerprint of the orchestrator's certificate authority, for the agent's command line. */
            ca_pin?: string | null;
            /** @description Host and port of the orchestrator, for the agent's command line. */
            orchestrator?: string | null;
            /** @description The one-time token; none where it was used or its time is over. Keep it from others until it is used. */
            token?: string | null;
        };
        /** @description One page of a list. */
        AgentPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["Agent"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description One action on the object that carries it. */
        AllowedAction: {
            /** @description The operation, such as `run_cancel`. */
            action: string;
            /** @description Whether it would be taken now. */
            allowed: boolean;
            /** @description Why not. */
            reason?: string | null;
        };
        /** @description A key, without the key itself. */
        ApiKey: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Who made it: it never may more than they may. */
            created_by: string;
            /** @description From when on it is refused. */
            expires_at: components["schemas"]["Timestamp"];
            /** @description Its id, which stands in the audit chain for who used it. */
            id: string;
            last_used_at?: components["schemas"]["Timestamp"] | null;
            /** @description Its name. */
            name: string;
            /** @description Ranges of addresses that it may come from; empty: from anywhere. */
            networks?: string[];
            /** @description The pipelines that a key of role `api` starts. */
            pipelines?: string[];
            /** @description What the key begins with. */
            prefix: string;
            /** @description The only project that it reaches. */
            project_id: string;
            revoked_at?: components["schemas"]["Timestamp"] | null;
            /** @description What it may do there, as far as who made it may. */
            role: components["schemas"]["ServiceRole"];
            /** @description `active`, `expired`, `revoked`, or `suspended` where who made it is disabled. */
            state: string;
        };
        /** @description One page of a list. */
        ApiKeyPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["ApiKey"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description One try of a run on one worker. */
        Attempt: {
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            ended_at?: components["schemas"]["Timestamp"] | null;
            enrolled_at?: components["schemas"]["Timestamp"] | null;
            /**
             * Format: int64
             * @description Its fencing number.
             */
            epoch: number;
            failure?: components["schemas"]["Failure"] | null;
            /** @description Its id. */
            id: string;
            /**
             * Format: int32
             * @description Its number within the run, from 1.
             */
            number: number;
            /** @description Its run. */
            run_id: string;
            /** @description Where it is. */
            state: components["schemas"]["AttemptState"];
            /** @description The cloud's name of its task, where one was started. */
            task?: string | null;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        AttemptState: "launching" | "running" | "succeeded" | "failed" | "canceled" | "lost";
        /** @description One change, written in the transaction that made it. */
        AuditEntry: {
            /** @description The operation, such as `run_start`. */
            action: string;
            /** @description Who: a user's id, or `system`. */
            actor: string;
            /** @description SHA-256 of the object after, in hex. */
            after?: string | null;
            /** @description When. */
            at: components["schemas"]["Timestamp"];
            /** @description SHA-256 of the object before, in hex. */
            before?: string | null;
            /** @description Hash of this entry, in hex. */
            hash: string;
            /** @description Address that the request came from. */
            ip?: string | null;
            /** @description Id of the object. */
            object: string;
            /** @description `done` or `refused`. */
            outcome: string;
            /** @description Hash of the entry before it, in hex. */
            prev_hash: string;
            /**
             * Format: int64
             * @description Its number in the organization's chain, from 1, without gaps.
             */
            seq: number;
        };
        /** @description One page of a list. */
        AuditEntryPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["AuditEntry"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description Settings of an `aws-ecs` data plane: workers are tasks in the customer's account. */
        AwsEcsSettings: {
            /** @description Processor that it names: `x86_64` or `arm64`. */
            architecture?: string;
            /** @description Whether tasks get a public address. */
            assign_public_ip?: boolean;
            /** @description `fargate`, `fargate-spot` or `ec2`. */
            capacity?: string;
            /** @description Name of the cluster. It never changes once given. */
            cluster: string;
            /** @description Name of the worker's container in it. */
            container?: string;
            /**
             * Format: int32
             * @description CPU units of a task; 1024 are one CPU.
             */
            cpu?: number;
            /**
             * Format: int32
             * @description Ephemeral storage in GiB; 0 for Fargate's own 20.
             */
            disk_gib?: number;
            /** @description The sentence that allows `ec2`; its error message shows it. */
            ec2_opt_in?: string | null;
            /** @description Whether FIPS endpoints are called. */
            fips?: boolean;
            /**
             * Format: int32
             * @description Memory of a task in MiB.
             */
            memory_mib?: number;
            /** @description Family of the same worker for the other processor, for pipelines that ask for it; none where there is one kind only. */
            other_task_family?: string | null;
            /** @description Region, such as `eu-central-1`. It never changes once given. */
            region: string;
            /** @description ARN of the role that starts and stops tasks. It never changes once given. */
            role_arn: string;
            /** @description Ids of security groups. */
            security_groups: string[];
            /** @description Ids of subnets. */
            subnets: string[];
            /** @description Family of the task definition. */
            task_family: string;
            /** @description ARN of the role that workers run as; enrolment accepts no other. */
            task_role_arn: string;
            /**
             * @description Issuer of the account's web identity tokens, such as `https://ID.tokens.sts.global.api.aws`: workers then prove their
             *     role by a token that STS signs. Without it they sign a call of sts:GetCallerIdentity.
             */
            token_issuer?: string | null;
        };
        /** @description A range of one stream's cursor: from the first bound on, up to the second and without it. One of them may be absent. */
        Backfill: {
            /**
             * @description The first bound: a whole number, `2026-01-31` or `2026-01-31T12:00:00` for a cursor without a zone, with `Z` or an offset
             *     for one with a zone. It begins with the first row where absent.
             */
            from?: string | null;
            /** @description The stream, by name. */
            stream: string;
            /** @description The second bound, of the same kind. It ends where a window does where absent. */
            to?: string | null;
        };
        /** @description A range of a cursor, as it was asked for. */
        BackfillRange: {
            /** @description The first bound; absent where it begins with the first row. */
            from?: string | null;
            /** @description The second bound, which is not in it; absent where it ends where a window does. */
            to?: string | null;
        };
        /** @description A change of one object. */
        Change: {
            /** @description What changes in it. */
            fields?: components["schemas"]["FieldChange"][];
            /** @description Its id, where it exists. */
            id?: string | null;
            /** @description `add`, `change` or `remove`. */
            kind: string;
            last_changed_at?: components["schemas"]["Timestamp"] | null;
            /** @description Its name; a schedule has its pipeline's. */
            name: string;
            /** @description `connection`, `pipeline` or `schedule`. */
            noun: string;
            /**
             * Format: int64
             * @description Its version before and after the change, where it has versions.
             */
            version?: number | null;
        };
        /** @description How many columns of a stream are others than its table's. */
        ColumnDrift: {
            /**
             * Format: int64
             * @description Columns of another type than the table's.
             */
            changed: number;
            /**
             * Format: int64
             * @description Columns of the table that the stream has no more.
             */
            gone: number;
            /**
             * Format: int64
             * @description Columns that the table has not and that were left out.
             */
            ignored: number;
            /**
             * Format: int64
             * @description Columns that the table had not: added where the stream was delivered, undecided where it failed with `columns_undecided`.
             */
            new: number;
        };
        /**
         * Format: password
         * @description A text that only its receiver may read: it does not print.
         */
        Confidential: string;
        /** @description A system that a worker can reach. */
        Connection: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Its id. */
            id: string;
            /** @description What it is: `postgres`, `mysql`, `sqlite`, `files`, `local`, `s3`, `azure` or `gcs`. */
            kind: string;
            /** @description Its name; unique in the project. */
            name: string;
            /** @description Its project. */
            project_id: string;
            /** @description How to reach it, as in a pipeline file: `type` and the kind's own keys. */
            system: Record<string, never>;
            /** @description When it was last changed. */
            updated_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description Rises by one with every change.
             */
            version: number;
        };
        /** @description Makes a connection. */
        ConnectionCreate: {
            /** @description Lower-case letters, digits and dashes, at most 63. */
            name: string;
            /** @description Its project. */
            project_id: string;
            /** @description How to reach it, as in a pipeline file: `type` and the kind's own keys. Secrets are references. */
            system: Record<string, never>;
        };
        /** @description One page of a list. */
        ConnectionPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["Connection"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description Changes how a connection is reached. Pipelines that use it take the change with their next run. */
        ConnectionUpdate: {
            /**
             * @description References to secrets that are meant to go to the new place, by field: needed for each one that the connection
             *     already had, as soon as any other field changes.
             */
            secrets?: {
                [key: string]: string;
            };
            /** @description The whole new description. */
            system: Record<string, never>;
        };
        /** @description A registered place where workers run. */
        DataPlane: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            aws_ecs?: components["schemas"]["AwsEcsSettings"] | null;
            checked_at?: components["schemas"]["Timestamp"] | null;
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            draining_since?: components["schemas"]["Timestamp"] | null;
            /** @description What the customer's trust policy must ask for. Made by the server; it never changes. */
            external_id?: string | null;
            /** @description Its id. */
            id: string;
            /** @description How workers are started there: `process`, `agent` or `aws-ecs`. */
            kind: string;
            /** @description Its name; unique in the organization. */
            name: string;
            /** @description Role or user of this orchestrator: what the customer's trust policy must name. */
            orchestrator_principal_arn?: string | null;
            /** @description Why there is none to tell, in a sentence. */
            orchestrator_principal_missing?: string | null;
            /** @description Settings of kind `process` and `agent`. */
            settings: components["schemas"]["ProcessSettings"];
            /** @description What the last check found about it: `enforced` or `open`. Nothing is started there before it was enforced. */
            trust?: string | null;
        };
        /** @description What a check found, permission by permission. */
        DataPlaneCheck: {
            /** @description Nothing is missing, nothing is too much, and all that can be tried was tried. */
            ready: boolean;
            /** @description Every permission. */
            rows: components["schemas"]["PermissionRow"][];
        };
        /** @description Registers a data plane. */
        DataPlaneCreate: {
            aws_ecs?: components["schemas"]["AwsEcsSettings"] | null;
            /** @description How workers are started there: `process`, `agent` or `aws-ecs`. */
            kind: string;
            /** @description Lower-case letters, digits and dashes, at most 63. */
            name: string;
            /** @description Settings of kind `process` and `agent`. */
            settings?: components["schemas"]["ProcessSettings"];
        };
        /** @description One page of a list. */
        DataPlanePage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["DataPlane"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /**
         * @description The policies that the customer attaches to the launch role, as Terraform applies them. Each is the whole text of a JSON
         *     document; one that was not asked for is absent.
         */
        DataPlanePolicy: {
            /** @description Its permission policy: what it may do. */
            launch?: string | null;
            /** @description The launch role; absent before the settings are given. */
            role_arn?: string | null;
            /** @description Its trust policy: who may assume it, with which external id. */
            trust?: string | null;
        };
        /** @description Changes a data plane. */
        DataPlaneUpdate: {
            aws_ecs?: components["schemas"]["AwsEcsSettings"] | null;
            settings?: components["schemas"]["ProcessSettings"] | null;
        };
        /** @description One end of a pipeline. */
        DescribedEnd: {
            /** @description The connection's name. */
            connection: string;
            /** @description Its kind: `postgres`, `s3`. */
            kind: string;
            /** @description Which server, file or bucket. */
            place: string;
        };
        /** @description One thing that holds of a stream. */
        DescribedFact: {
            /** @description Whether the pipeline says other than what holds where the key is absent. */
            is_set: boolean;
            /** @description The key of the pipeline file that says it, or that would. */
            key: string;
            /** @description Where on a row's way: `read`, `values`, `expected` or `table`. */
            part: string;
            /** @description What holds, in Markdown. */
            text: string;
        };
        /** @description A stream in words. */
        DescribedStream: {
            /** @description What holds of it, in the order in which it happens to a row. */
            facts: components["schemas"]["DescribedFact"][];
            /** @description Its name. */
            name: string;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        Desired: "run" | "cancel";
        /** @description A column. */
        DiscoveredColumn: {
            /** @description Its name. */
            name: string;
            /** @description Whether NULLs are allowed. */
            nullable: boolean;
            /** @description Its type in the source's words. */
            source_type: string;
        };
        /** @description A table or file set. */
        DiscoveredTable: {
            /** @description Its columns in order. */
            columns: components["schemas"]["DiscoveredColumn"][];
            /** @description Names of the primary key's columns. */
            key?: string[];
            /** @description As a stream would be named. */
            name: string;
            /**
             * Format: int64
             * @description Rows, about.
             */
            rows_estimate?: number | null;
        };
        /** @description What a discovery found. The only names of the source that ever leave the customer's cloud. */
        Discovery: {
            /** @description The tables or file sets. */
            tables: components["schemas"]["DiscoveredTable"][];
            /**
             * Format: int64
             * @description Tables that were left out since they would not fit the ceiling.
             */
            tables_withheld: number;
        };
        /** @description Accepts an epoch that stood too far in the future. */
        EpochAccept: {
            /**
             * Format: int64
             * @description The one that is accepted: `epoch_ahead` of the pipeline, as the caller saw it.
             */
            found: number;
        };
        /** @description Why something failed. */
        Failure: {
            /** @description The code. */
            code: components["schemas"]["FailureCode"];
            /** @description What a person should do next. */
            hint: string;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        FailureCode: "source_unreachable" | "source_denied" | "source_failed" | "source_incomplete" | "source_changed" | "snapshot_lost" | "recovery_conflict" | "source_malformed" | "tls_failed" | "client_certificate_refused" | "ssh_host_key_refused" | "ssh_denied" | "ssh_tunnel_lost" | "stream_not_found" | "column_not_found" | "row_security" | "value_refused" | "array_shape" | "row_too_large" | "cursor_null" | "cursor_zone_unknown" | "cursor_unusable" | "cursor_changed" | "cursor_fell_back" | "key_unusable" | "key_violated" | "column_name_unusable" | "schema_changed" | "csv_malformed" | "json_malformed" | "parquet_malformed" | "archive_refused" | "bucket_unreachable" | "bucket_denied" | "bucket_throttled" | "bucket_failed" | "bucket_full" | "bucket_unconditional" | "target_unreachable" | "target_denied" | "target_failed" | "table_not_ours" | "table_changed_by_other" | "append_in_doubt" | "table_feature_unsupported" | "commit_log_corrupt" | "commit_unknown" | "commit_too_large" | "merge_overtaken" | "epoch_ahead" | "table_shrank" | "expectation_failed" | "expectation_unusable" | "expectation_too_large" | "request_unusable" | "fenced" | "policy_denied" | "guard_unreachable" | "signature_rejected" | "egress_denied" | "secret_unresolved" | "secret_not_found" | "secret_access_denied" | "secret_unreachable" | "spec_refused" | "no_capacity" | "launch_failed" | "access_denied" | "launch_refused" | "data_plane_unchecked" | "region_not_allowed" | "image_unavailable" | "task_setup_failed" | "spot_interrupted" | "start_timeout" | "worker_lost" | "drained" | "run_timeout" | "out_of_memory" | "upgrade_required" | "worker_bug" | "columns_undecided" | "files_rewritten" | "too_many_bad_rows" | "text_undecodable" | "checksum_mismatch" | "checksum_unusable";
        /** @description A change of one field. */
        FieldChange: {
            /** @description What will stand there; absent where it goes. */
            after?: Record<string, never> | null;
            /** @description What stood there; absent where it is new. */
            before?: Record<string, never> | null;
            /** @description What follows from it, where that is not plain to see. */
            note?: string | null;
            /** @description Where, such as `streams.public.orders.load`. */
            path: string;
        };
        /** @description One mistake of the input. */
        FieldError: {
            /** @description A stable word for the mistake, where it has one. */
            code?: string | null;
            /**
             * Format: int32
             * @description Column in the line, from 1.
             */
            column?: number | null;
            /**
             * Format: int32
             * @description Line in the document, from 1, where the input is one.
             */
            line?: number | null;
            /** @description What is wrong. */
            message: string;
            /** @description JSON pointer of the field in the request's body, or the parameter's name. */
            pointer?: string | null;
            /** @description What was probably meant, or what is allowed. */
            suggestion?: string | null;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        Grade: "verified" | "counted" | "unchecked";
        /** @description A person who is asked to come in. */
        Invitation: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description The e-mail address that the account will have, in lower case. */
            email: string;
            /** @description From when on it is refused. */
            expires_at: components["schemas"]["Timestamp"];
            /** @description Its id. */
            id: string;
            /** @description Who made it: it gives no more than they may give when it is accepted. */
            invited_by: string;
            /** @description The project that takes the person in. */
            project_id?: string | null;
            project_role?: components["schemas"]["ProjectRole"] | null;
            /** @description The role in the organization. */
            role: components["schemas"]["OrganizationRole"];
            /** @description `open`, `expired`, `revoked` or `accepted`. */
            state: string;
        };
        /** @description Makes the account of who was invited. */
        InvitationAccept: {
            /** @description The password of the new account, 12 to 128 characters. */
            password: components["schemas"]["Confidential"];
            /** @description The token of the invitation. */
            token: components["schemas"]["Confidential"];
        };
        /** @description Asks a person to come in. One that is open for the address already is taken back. */
        InvitationCreate: {
            /** @description E-mail address. */
            email: string;
            /** @description A project that takes the person in; with `project_role`. */
            project_id?: string | null;
            /** @description `owner`, `admin`, `editor`, `operator` or `viewer`, at most as high as the caller's own there. */
            project_role?: string | null;
            /** @description `owner`, `administrator` or `member`, at most as high as the caller's own; `member` where absent. */
            role?: string | null;
        };
        /** @description A new invitation. */
        InvitationMade: {
            /** @description What is known of it. */
            invitation: components["schemas"]["Invitation"];
            /** @description What takes the person in, once. It is shown this once; a repeat of the request does not tell it. */
            token?: string | null;
        };
        /** @description One page of a list. */
        InvitationPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["Invitation"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description Makes a key. */
        KeyCreate: {
            /**
             * Format: int32
             * @description How many days it lives, 1 to 365.
             */
            days: number;
            /** @description Lower-case letters, digits and dashes, at most 63. */
            name: string;
            /** @description At most 20 ranges of addresses that it may come from, such as `198.51.100.0/24`; from anywhere where none is named. */
            networks?: string[];
            /** @description For the role `api`: 1 to 20 pipelines of the project. */
            pipelines?: string[];
            /** @description `api`, which starts the named pipelines and sees the runs that it started; or `viewer`, `operator` or `editor` of the project. */
            role: string;
        };
        /** @description A new key. */
        KeyMade: {
            /** @description What is known of it. */
            key: components["schemas"]["ApiKey"];
            /** @description The key itself, for `Authorization: Bearer`. It is shown this once; a repeat of the request does not tell it. */
            secret?: string | null;
        };
        /** @description A run in short, as a list of pipelines shows it. */
        LastRun: {
            /** @description When it was triggered. */
            created_at: components["schemas"]["Timestamp"];
            ended_at?: components["schemas"]["Timestamp"] | null;
            failure?: components["schemas"]["Failure"] | null;
            /** @description Its id. */
            id: string;
            /** @description Where it is. */
            state: components["schemas"]["RunState"];
        };
        /** @description Logs a person in. */
        LoginRequest: {
            /** @description E-mail address. */
            email: string;
            /** @description Password. */
            password: components["schemas"]["Confidential"];
        };
        /** @description A person in a project. */
        Member: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /** @description When the person was taken in. */
            created_at: components["schemas"]["Timestamp"];
            /** @description The person may not log in. */
            disabled?: boolean;
            /** @description E-mail address, in lower case. */
            email: string;
            /** @description The project. */
            project_id: string;
            /** @description Role in the project. What the organization's role gives in every project is not among it. */
            role: components["schemas"]["ProjectRole"];
            /** @description The person. */
            user_id: string;
        };
        /** @description Takes a person of the organization into a project. */
        MemberCreate: {
            /** @description E-mail address of the account. */
            email: string;
            /** @description `owner`, `admin`, `editor`, `operator` or `viewer`, at most as high as the caller's own. */
            role: string;
        };
        /** @description One page of a list. */
        MemberPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["Member"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description Changes a member's role. */
        MemberUpdate: {
            /** @description `owner`, `admin`, `editor`, `operator` or `viewer`, at most as high as the caller's own. */
            role: string;
        };
        /** @description A tenant. */
        Organization: {
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Its id. */
            id: string;
            /** @description Its name. */
            name: string;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        OrganizationRole: "member" | "administrator" | "owner";
        /** @description How many a list holds. */
        PageCount: {
            /** @description Whether it is the number. If not, there are more. */
            exact: boolean;
            /**
             * Format: int64
             * @description The number, or what was counted until counting stopped.
             */
            value: number;
        };
        /** @description Changes the own password. */
        PasswordChange: {
            /** @description The password as it is. */
            current_password: components["schemas"]["Confidential"];
            /** @description The new one, 12 to 128 characters. */
            password: components["schemas"]["Confidential"];
        };
        /** @description Makes a link for a new password. */
        PasswordResetCreate: {
            /**
             * Format: int32
             * @description How many hours it is good for, 1 to 24; 1 where absent.
             */
            hours?: number | null;
        };
        /** @description A link for a new password. */
        PasswordResetMade: {
            /** @description From when on it is refused. */
            expires_at: components["schemas"]["Timestamp"];
            /** @description What lets the person choose a new one, once. It is shown this once. */
            token: components["schemas"]["Confidential"];
            /** @description Whose password it is for. */
            user_id: string;
        };
        /** @description Chooses a new password with the token of a link. */
        PasswordResetUse: {
            /** @description The new password, 12 to 128 characters. */
            password: components["schemas"]["Confidential"];
            /** @description The token. */
            token: components["schemas"]["Confidential"];
        };
        /** @description One permission. */
        PermissionRow: {
            /** @description The action, such as `ecs:RunTask`. */
            action: string;
            /** @description What that means, and what to do. */
            detail: string;
            /**
             * @description `allowed` and `narrow` are as they must be; `missing` and `too_much` are not; `no_answer` could not be tried now;
             *     `not_tested` can't be tried without an effect.
             */
            found: string;
            /** @description What allows too much, as JSON, where one statement says it: no policy of the role may hold one that does. */
            remove?: string | null;
            /** @description On what: an ARN. */
            resource: string;
            /** @description The statement to add to the role, as JSON, where one is missing, or that must be there where it can't be tried. */
            statement?: string | null;
        };
        /** @description A pipeline. */
        Pipeline: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Where its workers run. */
            data_plane_id?: string | null;
            /**
             * Format: int64
             * @description An epoch that was found, or would be given, more than 24 h in the future: no run goes on before somebody accepts it.
             *     Microseconds since 1970, where a clock made it.
             */
            epoch_ahead?: number | null;
            /** @description Name of the source connection. */
            from: string;
            /** @description Its id. */
            id: string;
            last_run?: components["schemas"]["LastRun"] | null;
            /** @description The run that is live now. */
            live_run_id?: string | null;
            /** @description Its name; unique in the project. */
            name: string;
            next_run_at?: components["schemas"]["Timestamp"] | null;
            /** @description A paused pipeline starts no runs by itself. */
            paused: boolean;
            /** @description Its project. */
            project_id: string;
            /** @description Names of its streams; their order gives the stream indices. */
            streams: string[];
            /** @description Name of the destination connection. */
            to: string;
            /** @description When it was last changed. */
            updated_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description The version that the next run takes.
             */
            version: number;
        };
        /** @description What a pipeline does to rows on their way, in words, made from its present plan. */
        PipelineDescription: {
            /** @description Where rows come from. */
            from: components["schemas"]["DescribedEnd"];
            /** @description The same as a page of Markdown. */
            markdown: string;
            /** @description Its name. */
            name: string;
            /** @description The pipeline. */
            pipeline_id: string;
            /** @description Its streams, in the plan's order. */
            streams: components["schemas"]["DescribedStream"][];
            /** @description Where they land. */
            to: components["schemas"]["DescribedEnd"];
            /**
             * Format: int64
             * @description The version that is described.
             */
            version: number;
        };
        /** @description One page of a list. */
        PipelinePage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["Pipeline"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description Changes a pipeline's switch. */
        PipelineUpdate: {
            /** @description Whether it starts no runs by itself. */
            paused: boolean;
        };
        /** @description One version of a pipeline. */
        PipelineVersion: {
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Who made it. */
            created_by?: string | null;
            /** @description SHA-256 of the canonical plan, in hex. */
            digest: string;
            /** @description The canonical plan as a worker gets it; references to secrets, never secrets. */
            plan: Record<string, never>;
            /**
             * Format: int64
             * @description Its number, from 1.
             */
            version: number;
        };
        /** @description One page of a list. */
        PipelineVersionPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["PipelineVersion"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description A signature of the customer over one pipeline's plan. The orchestrator keeps it and can't check it: it has no key. */
        PlanSignature: {
            /** @description SHA-256 of the canonical plan that was signed, in hex. */
            digest: string;
            /** @description The pipeline's name. */
            pipeline: string;
            /** @description The signature, as `waybill sign` makes it. */
            signature: string;
        };
        /** @description An answer that is not a success. */
        Problem: {
            /** @description A stable word to decide on. */
            code: string;
            /** @description What was wrong here. */
            detail?: string | null;
            /** @description Every mistake of the input, where there are several. */
            errors?: components["schemas"]["FieldError"][];
            /** @description The path that was asked for. */
            instance?: string;
            /** @description What to do next: a command or a link. */
            next?: string | null;
            /** @description Names this answer in the server's log; also in `X-Request-Id`. */
            request_id?: string;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description The code in a few words; the same for every occurrence. */
            title: string;
            /** @description The page that explains the code. */
            type: string;
        };
        /** @description Settings of a data plane of kind `process`, whose workers are processes on the orchestrator's own host, or `agent`. */
        ProcessSettings: {
            /** @description Names of environment variables that pass to workers, never their values. Only with kind `process`. */
            environment?: string[];
            /**
             * @description Region that its workers run in, on the word of whoever says so: no cloud is asked. A project that allows certain
             *     regions only asks for it.
             */
            region?: string | null;
        };
        /** @description What isolates pipelines and connections inside an organization. */
        Project: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /** @description Regions that its data planes, buckets and secrets may stand in; any where it is empty. */
            allowed_regions?: string[];
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Its id. */
            id: string;
            /** @description Its name; unique in the organization. */
            name: string;
            role?: components["schemas"]["ProjectRole"] | null;
        };
        /** @description Makes a project. */
        ProjectCreate: {
            /** @description Lower-case letters, digits and dashes, at most 63. */
            name: string;
        };
        /** @description One page of a list. */
        ProjectPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["Project"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        ProjectRole: "viewer" | "operator" | "editor" | "admin" | "owner";
        /** @description Changes a project: what is absent stays as it is. */
        ProjectUpdate: {
            /** @description The only regions that its data planes, buckets and secrets may stand in; an empty list allows any. */
            allowed_regions?: string[] | null;
            /** @description The new name. */
            name?: string | null;
        };
        /** @description What the orchestrator may know of what a run delivered. The full receipts stand in the customer's bucket. */
        ReceiptDigest: {
            /** @description The run. */
            run_id: string;
            /** @description Its streams, in the plan's order. */
            streams: components["schemas"]["StreamReceipt"][];
        };
        /** @description Exchanges a refresh token for new tokens. */
        RefreshRequest: {
            /** @description The newest refresh token of the session. Used twice, it ends the session. */
            refresh_token: components["schemas"]["Confidential"];
        };
        /** @description One execution of a pipeline. */
        Run: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /**
             * Format: int32
             * @description Attempts so far.
             */
            attempts: number;
            /** @description When it was triggered. */
            created_at: components["schemas"]["Timestamp"];
            /** @description What is wanted of it. */
            desired: components["schemas"]["Desired"];
            ended_at?: components["schemas"]["Timestamp"] | null;
            events_removed_at?: components["schemas"]["Timestamp"] | null;
            failure?: components["schemas"]["Failure"] | null;
            /** @description Its id. */
            id: string;
            /** @description What it does. */
            kind: components["schemas"]["RunKind"];
            /** @description Its pipeline; none where it checks or discovers a connection, or tests a data plane. */
            pipeline_id?: string | null;
            /**
             * Format: int64
             * @description Version of the pipeline that it runs.
             */
            pipeline_version?: number | null;
            /** @description Its project. */
            project_id: string;
            /** @description The final run that this one retries. */
            retry_of?: string | null;
            started_at?: components["schemas"]["Timestamp"] | null;
            /** @description Where it is. */
            state: components["schemas"]["RunState"];
            /**
             * Format: int32
             * @description Streams whose rows readers see.
             */
            streams_delivered: number;
            /**
             * Format: int32
             * @description Streams in all.
             */
            streams_total: number;
            /** @description Name of the pipeline, connection or data plane when it was triggered. */
            subject: string;
            /** @description What started it: `manual`, `schedule` or `retry`. */
            trigger: string;
            /** @description What it waits for, where it is not final yet: a phrase for people. */
            waiting_for?: string | null;
        };
        /** @description A run with its streams and attempts. */
        RunDetail: components["schemas"]["Run"] & {
            /** @description Its attempts, first one first. */
            attempt_list: components["schemas"]["Attempt"][];
            /** @description The system that it writes to, where its full log is too; references to secrets, never secrets. None for a test. */
            destination?: Record<string, never> | null;
            /** @description Its streams, in the plan's order. */
            streams: components["schemas"]["RunStream"][];
        };
        /** @description One event. The full log stands in the customer's bucket; the orchestrator has only these. */
        RunEvent: {
            /** @description When. */
            at: components["schemas"]["Timestamp"];
            /** @description The attempt that it happened to. */
            attempt_id?: string | null;
            /**
             * Format: int64
             * @description Bytes, where the code has them.
             */
            bytes?: number | null;
            /** @description What happened, from the closed catalogue. */
            code: string;
            /**
             * Format: int64
             * @description A count, where the code has one.
             */
            count?: number | null;
            /**
             * Format: int64
             * @description A duration, where the code has one.
             */
            duration_ms?: number | null;
            failure?: components["schemas"]["FailureCode"] | null;
            /** @description `info`, `warn` or `error`. */
            level: string;
            /** @description Hash of a defect's source location, in hex. */
            location?: string | null;
            /**
             * Format: int64
             * @description Rows, where the code has them.
             */
            rows?: number | null;
            /**
             * Format: int64
             * @description Its number within the run; rises, with gaps.
             */
            seq: number;
            /** @description SQLSTATE from the compiled list, or `other`. */
            sqlstate?: string | null;
            /** @description The statement to add, as JSON, where a permission is missing; the text says to which role. */
            statement?: string | null;
            /**
             * Format: int32
             * @description The stream's place in the plan.
             */
            stream?: number | null;
            /** @description The stream's name. */
            stream_name?: string | null;
            /** @description The same as a sentence. */
            text: string;
        };
        /** @description Events of a run, oldest first. */
        RunEvents: {
            /** @description Whether the run has ended, so that no more will come once `more` is false. */
            ended: boolean;
            /** @description The events. */
            items: components["schemas"]["RunEvent"][];
            /** @description Whether more events are there already. */
            more: boolean;
            /**
             * Format: int64
             * @description Give it as `after` for what comes next: the number of the last event that was looked at, whether it matched or not.
             */
            next_after: number;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        RunKind: "sync" | "check" | "discover" | "test" | "preview";
        /** @description One page of a list. */
        RunPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["Run"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description Starts a run or a preview of a pipeline, or a check or discovery of one connection. */
        RunStart: {
            /**
             * @description Ranges of a cursor that are read once more and merged by key; the tables keep their cursors. Only streams of
             *     `load: changed` take it; only they and the others that are named run.
             */
            backfill?: components["schemas"]["Backfill"][];
            /** @description The connection, for `check` and `discover`. */
            connection_id?: string | null;
            /**
             * @description The windows of these streams begin with the first row, by name, whatever cursors their tables keep; rows are merged by
             *     their key, so only streams of `load: changed` take it. Only they and the others that are named run.
             */
            forget_cursor?: string[];
            /**
             * @description `sync`, `preview`, `check` or `discover`; `sync` where absent. A preview writes the first rows of each stream into the
             *     pipeline's bucket, for people to look at there, and touches no table.
             */
            kind?: string | null;
            /**
             * Format: int64
             * @description So many rows of each stream at most, the first that the source gives, as a try before the first whole run: into tables that
             *     are not there, are empty, or were filled by such a run. The next run without it brings all rows in their place.
             */
            limit?: number | null;
            /** @description The pipeline; either this or `connection_id`. */
            pipeline_id?: string | null;
            /**
             * @description These streams are read whole, by name, whatever their load and cursor, and each replaces its table in one commit, columns
             *     included. Only they and `streams` run.
             */
            reload?: string[];
            /**
             * Format: int64
             * @description How many rows of each stream a preview takes, 1 to 10000; 100 where absent.
             */
            rows?: number | null;
            /** @description Only these streams, by name; all where absent. */
            streams?: string[];
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        RunState: "queued" | "launching" | "running" | "succeeded" | "failed" | "canceled";
        /** @description A stream within a run. */
        RunStream: {
            backfill?: components["schemas"]["BackfillRange"] | null;
            /**
             * Format: int64
             * @description Bytes of its data files.
             */
            bytes?: number | null;
            /**
             * Format: int64
             * @description Values that a policy changed or moved to a twin column.
             */
            coerced?: number | null;
            columns?: components["schemas"]["ColumnDrift"] | null;
            /** @description Its commit was found only after the run had ended. */
            delivered_late?: boolean;
            failure?: components["schemas"]["Failure"] | null;
            /**
             * Format: int64
             * @description Its data files.
             */
            files?: number | null;
            /** @description Its window begins with the first row, whatever cursor its table keeps. */
            forget_cursor?: boolean;
            /**
             * Format: int32
             * @description Its place in the plan.
             */
            index: number;
            /**
             * Format: int64
             * @description The run brings no more than so many rows of it: its table is not the whole one. Absent where there is no limit.
             */
            limit?: number | null;
            /** @description Its name. */
            name: string;
            /** @description It is read whole, whatever its load, in place of what the table has. */
            reload?: boolean;
            /**
             * Format: int64
             * @description Rows read so far, or delivered. Absent where nothing is known yet.
             */
            rows?: number | null;
            /**
             * Format: int64
             * @description Rows that the source expects in all: an estimate.
             */
            rows_estimate?: number | null;
            /** @description Where it is. */
            state: components["schemas"]["StreamState"];
        };
        /** @description When a pipeline runs. */
        Schedule: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /** @description What happens to slots that were missed: `last` or `none`. */
            catch_up: string;
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Five cron fields: minute, hour, day of month, month, day of week. Absent where `every_ms` is not. */
            cron?: string | null;
            /**
             * Format: int64
             * @description Milliseconds between slots, which are its multiples since 1970-01-01T00:00:00Z. Absent where `cron` is not.
             */
            every_ms?: number | null;
            /** @description Its id. */
            id: string;
            next_at?: components["schemas"]["Timestamp"] | null;
            /** @description What happens when a run is due while the one before still works: `skip` or `queue`. */
            overlap: string;
            /** @description A paused schedule starts no runs. */
            paused: boolean;
            /** @description Its pipeline. */
            pipeline_id: string;
            /** @description IANA time zone that the fields are read in. */
            zone?: string | null;
        };
        /** @description Gives a pipeline its schedule, or replaces the one that it has. */
        ScheduleSet: {
            /** @description What happens to slots that were missed: `last` or `none`. */
            catch_up?: string;
            /** @description Five cron fields; either these or `every_ms`. */
            cron?: string | null;
            /**
             * Format: int64
             * @description Milliseconds between slots, from a minute to 366 days; slots are its multiples since 1970-01-01T00:00:00Z.
             */
            every_ms?: number | null;
            /** @description What happens when a run is due while the one before still works: `skip` or `queue`. */
            overlap?: string;
            /** @description Whether it starts no runs for now. */
            paused?: boolean;
            /** @description IANA time zone of the fields; `UTC` where absent. It has no meaning with `every_ms`. */
            zone?: string | null;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        ServiceRole: "api" | "viewer" | "operator" | "editor";
        /** @description A login session that has not ended. */
        Session: {
            /** @description When it was begun. */
            created_at: components["schemas"]["Timestamp"];
            /** @description Whether it is the one that asks. */
            current: boolean;
            /** @description When it ends whatever happens. */
            expires_at: components["schemas"]["Timestamp"];
            /** @description Its id. */
            id: string;
            /** @description Address that it was begun from, where that is known. */
            ip?: string | null;
            /** @description When it got new tokens last. */
            used_at: components["schemas"]["Timestamp"];
        };
        /** @description One page of a list. */
        SessionPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["Session"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description Ends sessions. */
        SessionRevoke: {
            /** @description Only this one; where absent all, and of one's own all but the one that asks. */
            session_id?: string | null;
        };
        /** @description What was ended. */
        SessionsRevoked: {
            /**
             * Format: int64
             * @description How many sessions.
             */
            ended: number;
        };
        /** @description Makes the organization and its owner. */
        SetupRequest: {
            /** @description The owner's e-mail address. */
            email: string;
            /** @description Name of the organization. */
            organization: string;
            /** @description 12 to 128 characters. */
            password: components["schemas"]["Confidential"];
            /** @description The one-time token from the state directory. */
            setup_token: components["schemas"]["Confidential"];
        };
        /** @description How somebody signed in, or tried to: read from the audit chain, which nobody shortens. */
        SignIn: {
            /** @description When. */
            at: components["schemas"]["Timestamp"];
            /** @description `login`, `setup`, or `refresh_token_reused`: a token that had been used came again, which ended its session. */
            how: string;
            /** @description Address that it came from, where that is known. */
            ip?: string | null;
            /** @description `done` or `refused`. */
            outcome: string;
            /**
             * Format: int64
             * @description Number of its entry in the audit chain.
             */
            seq: number;
        };
        /** @description One page of a list. */
        SignInPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["SignIn"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description What was, or would be, changed. */
        SpecApplied: {
            /** @description The changes; empty where everything stands as the document says. */
            changes: components["schemas"]["Change"][];
            /** @description Whether nothing was changed since a dry run was asked for. */
            dry_run: boolean;
            /** @description Names these changes; give it as `expect` to apply exactly them. */
            plan_digest: string;
            /** @description Secrets that would go to a changed place, as `connection.field`; applying demands them in `secrets`. */
            secrets_required?: string[];
        };
        /** @description Makes a project's connections, pipelines and schedules as the document says, all of them or none. */
        SpecApply: {
            /** @description The YAML document. */
            document: string;
            /** @description `plan_digest` of the dry run that was looked at: refused with 412 if the changes would be others by now. */
            expect?: string | null;
            /** @description The project. */
            project_id: string;
            /** @description Also removes what the document does not name. */
            prune?: boolean;
            /**
             * @description References to secrets that are meant to go to a changed place, by `connection.field` such as `shop.password`:
             *     needed for each one that `secrets_required` of a dry run names.
             */
            secrets?: {
                [key: string]: string;
            };
            /** @description Signatures of plans, for workers whose guard asks for them; each must be of a plan that the document has. */
            signatures?: components["schemas"]["PlanSignature"][];
        };
        /** @description What is wrong with a document. */
        SpecDiagnostics: {
            /** @description Every mistake with line and column. */
            diagnostics: components["schemas"]["FieldError"][];
            /** @description Whether it could be applied. */
            valid: boolean;
        };
        /** @description Asks what is wrong with a document. */
        SpecValidate: {
            /** @description The YAML document. */
            document: string;
        };
        /** @description The same for one stream. */
        StreamReceipt: {
            /** @description An earlier attempt's commit was found and nothing was copied. */
            adopted?: boolean;
            /**
             * Format: int64
             * @description Bytes of its data files.
             */
            bytes: number;
            /**
             * Format: int64
             * @description Values that a policy changed or moved to a twin column.
             */
            coerced: number;
            /** @description HMAC-SHA-256 of the receipt under the bucket's digest key, in hex. */
            digest?: string | null;
            /**
             * Format: int64
             * @description Its data files.
             */
            files: number;
            grade?: components["schemas"]["Grade"] | null;
            /**
             * Format: int32
             * @description Its place in the plan.
             */
            index: number;
            /** @description Its name. */
            name: string;
            /**
             * Format: int64
             * @description Rows delivered by this run.
             */
            rows: number;
            /** @description Where it ended. */
            state: components["schemas"]["StreamState"];
            /**
             * Format: int64
             * @description Version of the commit log that made it visible; absent where nothing was committed.
             */
            version?: number | null;
        };
        /**
         * @description A newer server may send other words.
         * @enum {string}
         */
        StreamState: "waiting" | "reading" | "committing" | "committed" | "failed" | "skipped";
        /**
         * Format: date-time
         * @description RFC 3339 in UTC with six decimals.
         */
        Timestamp: string;
        /** @description What a login gives. */
        Tokens: {
            /**
             * Format: int64
             * @description How long the access token lives.
             */
            access_expires_in_ms: number;
            /** @description For the `Authorization: Bearer` header. */
            access_token: components["schemas"]["Confidential"];
            /** @description When the session ends unless it is refreshed before. */
            refresh_expires_at: components["schemas"]["Timestamp"];
            /** @description For one refresh. */
            refresh_token: components["schemas"]["Confidential"];
        };
        /** @description One call, or several looks at tasks of one kind and outcome that were made one after another. */
        TrailEntry: {
            /** @description What was called, as permissions name it: `sts:AssumeRole`, `ecs:RunTask`, `ecs:StopTask`, `ecs:DescribeTasks`… */
            action: string;
            /** @description The attempt that it was made for. */
            attempt_id?: string | null;
            /**
             * Format: int64
             * @description How many calls: 1, or more where looks were gathered.
             */
            calls: number;
            /** @description The data plane that it was made for. */
            data_plane_id: string;
            /** @description When the first was sent, by the orchestrator's clock. */
            first_at: components["schemas"]["Timestamp"];
            /** @description Its id. */
            id: string;
            /** @description When the last was sent. */
            last_at: components["schemas"]["Timestamp"];
            /** @description `ok`, `no_answer` (it may have had its effect), or the cloud's error code from a closed list. */
            outcome: string;
            /** @description In which region. */
            region: string;
            /** @description What the cloud calls them; fewer than `calls` where answers did not come. */
            request_ids: string[];
            /** @description As which role; of `sts:AssumeRole`, which role was asked for. */
            role_arn: string;
            /** @description The run that it was made for. Looks serve all runs of a data plane. */
            run_id?: string | null;
            /** @description Under which session name: the attempt's id for a launch, `waybill-look` or `waybill-check` for the rest. */
            session: string;
        };
        /** @description One page of a list. */
        TrailEntryPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["TrailEntry"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description A person. */
        User: {
            /** @description What the caller may do with it. */
            allowed_actions?: components["schemas"]["AllowedAction"][];
            /** @description When it was made. */
            created_at: components["schemas"]["Timestamp"];
            /** @description May not log in. */
            disabled?: boolean;
            /** @description E-mail address, in lower case. */
            email: string;
            /** @description Its id. */
            id: string;
            /** @description Its organization. */
            organization_id: string;
            /** @description Role in the organization. */
            role: components["schemas"]["OrganizationRole"];
        };
        /** @description Makes an account in the organization. */
        UserCreate: {
            /** @description E-mail address. */
            email: string;
            /** @description First password, 12 to 128 characters. */
            password: components["schemas"]["Confidential"];
            /** @description `owner`, `administrator` or `member`, at most as high as the caller's own; `member` where absent. */
            role?: string | null;
        };
        /** @description One page of a list. */
        UserPage: {
            count?: components["schemas"]["PageCount"] | null;
            /** @description The items, in the order that was asked for. */
            items: components["schemas"]["User"][];
            /** @description Give it as `cursor` for the next page; absent on the last one. Opaque, signed, bound to this user and these filters. */
            next_cursor?: string | null;
        };
        /** @description Changes what a person is in the organization: what is absent stays as it is. */
        UserUpdate: {
            /** @description Whether the person may not log in; who is disabled has no session any more. */
            disabled?: boolean | null;
            /** @description `owner`, `administrator` or `member`, at most as high as the caller's own. */
            role?: string | null;
        };
        /** @description Who is logged in. */
        Whoami: {
            /** @description The person's organization. */
            organization: components["schemas"]["Organization"];
            /** @description The login session. */
            session_id: string;
            /** @description The person. */
            user: components["schemas"]["User"];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    access_explain: {
        parameters: {
            query?: {
                /** @description The operation, such as `pipeline_update`. */
                action?: string;
                /** @description Id of the object, or of what it would be made in; none for what is about none. */
                object?: string;
                /** @description Id or e-mail address; the caller where absent. Another one takes `user:read`. */
                user?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "action": "pipeline_update",
                     *       "allowed": false,
                     *       "email": "grace@example.org",
                     *       "object": "pl_01jd8m2v5k0000000000000001",
                     *       "permission": "pipeline:write",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "reason": "the role viewer lacks pipeline:write: it takes the project role editor",
                     *       "refused_with": 403,
                     *       "role": "viewer",
                     *       "scope": "project",
                     *       "takes": "the project role editor",
                     *       "user_id": "usr_01jd8m2v5k0000000000000002"
                     *     }
                     */
                    "application/json": components["schemas"]["AccessExplained"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    agent_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description created_at, -created_at, name or -name; created_at where absent. */
                sort?: string;
                /** @description `estimate`: also say how many there are, counted up to 10000. */
                count?: string;
                /** @description Only the one of this name. */
                name?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "agent_disable",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "certificate_until": "2025-11-22T02:00:04.000000Z",
                     *           "connected": true,
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "data_plane_id": "dp_01jd8m2v5k0000000000000002",
                     *           "draining": false,
                     *           "fingerprint": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *           "generation": 2,
                     *           "id": "agt_01jd8m2v5k0000000000000001",
                     *           "name": "office-1",
                     *           "program_version": "0.1.0",
                     *           "seen_at": "2025-11-21T02:01:04.000000Z",
                     *           "slots": 4,
                     *           "state": "active",
                     *           "workers": 1
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["AgentPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    agent_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "data_plane_id": "dp_01jd8m2v5k0000000000000002",
                 *       "name": "office-1",
                 *       "needs_approval": true
                 *     }
                 */
                "application/json": components["schemas"]["AgentCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "agent": {
                     *         "allowed_actions": [
                     *           {
                     *             "action": "agent_disable",
                     *             "allowed": true
                     *           }
                     *         ],
                     *         "certificate_until": "2025-11-22T02:00:04.000000Z",
                     *         "connected": false,
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "data_plane_id": "dp_01jd8m2v5k0000000000000002",
                     *         "draining": false,
                     *         "fingerprint": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *         "generation": 0,
                     *         "id": "agt_01jd8m2v5k0000000000000001",
                     *         "name": "office-1",
                     *         "program_version": "0.1.0",
                     *         "seen_at": "2025-11-21T02:01:04.000000Z",
                     *         "slots": 4,
                     *         "state": "invited",
                     *         "workers": 1
                     *       },
                     *       "ca_pin": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *       "orchestrator": "waybill.example.com:443",
                     *       "token": "wba.org_….agt_….1.…"
                     *     }
                     */
                    "application/json": components["schemas"]["AgentInvited"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    agent_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                agent: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "agent_disable",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "certificate_until": "2025-11-22T02:00:04.000000Z",
                     *       "connected": true,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "data_plane_id": "dp_01jd8m2v5k0000000000000002",
                     *       "draining": false,
                     *       "fingerprint": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *       "generation": 2,
                     *       "id": "agt_01jd8m2v5k0000000000000001",
                     *       "name": "office-1",
                     *       "program_version": "0.1.0",
                     *       "seen_at": "2025-11-21T02:01:04.000000Z",
                     *       "slots": 4,
                     *       "state": "active",
                     *       "workers": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Agent"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    agent_delete: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                agent: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    agent_approve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                agent: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "fingerprint": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65"
                 *     }
                 */
                "application/json": components["schemas"]["AgentApprove"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "agent_disable",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "certificate_until": "2025-11-22T02:00:04.000000Z",
                     *       "connected": true,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "data_plane_id": "dp_01jd8m2v5k0000000000000002",
                     *       "draining": false,
                     *       "fingerprint": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *       "generation": 2,
                     *       "id": "agt_01jd8m2v5k0000000000000001",
                     *       "name": "office-1",
                     *       "program_version": "0.1.0",
                     *       "seen_at": "2025-11-21T02:01:04.000000Z",
                     *       "slots": 4,
                     *       "state": "active",
                     *       "workers": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Agent"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    agent_disable: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                agent: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "agent_disable",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "certificate_until": "2025-11-22T02:00:04.000000Z",
                     *       "connected": true,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "data_plane_id": "dp_01jd8m2v5k0000000000000002",
                     *       "draining": false,
                     *       "fingerprint": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *       "generation": 2,
                     *       "id": "agt_01jd8m2v5k0000000000000001",
                     *       "name": "office-1",
                     *       "program_version": "0.1.0",
                     *       "seen_at": "2025-11-21T02:01:04.000000Z",
                     *       "slots": 4,
                     *       "state": "active",
                     *       "workers": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Agent"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    agent_enable: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                agent: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "agent_disable",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "certificate_until": "2025-11-22T02:00:04.000000Z",
                     *       "connected": true,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "data_plane_id": "dp_01jd8m2v5k0000000000000002",
                     *       "draining": false,
                     *       "fingerprint": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *       "generation": 2,
                     *       "id": "agt_01jd8m2v5k0000000000000001",
                     *       "name": "office-1",
                     *       "program_version": "0.1.0",
                     *       "seen_at": "2025-11-21T02:01:04.000000Z",
                     *       "slots": 4,
                     *       "state": "active",
                     *       "workers": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Agent"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    agent_invite: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                agent: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "needs_approval": true
                 *     }
                 */
                "application/json": components["schemas"]["AgentInvite"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "agent": {
                     *         "allowed_actions": [
                     *           {
                     *             "action": "agent_disable",
                     *             "allowed": true
                     *           }
                     *         ],
                     *         "certificate_until": "2025-11-22T02:00:04.000000Z",
                     *         "connected": false,
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "data_plane_id": "dp_01jd8m2v5k0000000000000002",
                     *         "draining": false,
                     *         "fingerprint": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *         "generation": 0,
                     *         "id": "agt_01jd8m2v5k0000000000000001",
                     *         "name": "office-1",
                     *         "program_version": "0.1.0",
                     *         "seen_at": "2025-11-21T02:01:04.000000Z",
                     *         "slots": 4,
                     *         "state": "invited",
                     *         "workers": 1
                     *       },
                     *       "ca_pin": "sha256:9f86d081884c7d659f86d081884c7d659f86d081884c7d659f86d081884c7d65",
                     *       "orchestrator": "waybill.example.com:443",
                     *       "token": "wba.org_….agt_….1.…"
                     *     }
                     */
                    "application/json": components["schemas"]["AgentInvited"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    attempt_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                attempt: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "ended_at": "2025-11-21T02:07:31.000000Z",
                     *       "enrolled_at": "2025-11-21T02:00:06.000000Z",
                     *       "epoch": 1763690404000000,
                     *       "failure": {
                     *         "code": "source_denied",
                     *         "hint": "check the user, the password reference and the grants of the source user"
                     *       },
                     *       "id": "att_01jd8m2v5k0000000000000001",
                     *       "number": 1,
                     *       "run_id": "run_01jd8m2v5k0000000000000001",
                     *       "state": "failed"
                     *     }
                     */
                    "application/json": components["schemas"]["Attempt"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    audit_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "action": "run_start",
                     *           "actor": "usr_01jd8m2v5k0000000000000001",
                     *           "after": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                     *           "at": "2025-11-21T02:00:04.000000Z",
                     *           "hash": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
                     *           "ip": "127.0.0.1",
                     *           "object": "run_01jd8m2v5k0000000000000001",
                     *           "outcome": "done",
                     *           "prev_hash": "0000000000000000000000000000000000000000000000000000000000000000",
                     *           "seq": 7
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["AuditEntryPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    connection_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description created_at, -created_at, name or -name; created_at where absent. */
                sort?: string;
                /** @description `estimate`: also say how many there are, counted up to 10000. */
                count?: string;
                /** @description Id of the project; the project `default` where absent. */
                project?: string;
                /** @description Only the one of this name. */
                name?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "connection_update",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "id": "con_01jd8m2v5k0000000000000001",
                     *           "kind": "postgres",
                     *           "name": "shop",
                     *           "project_id": "prj_01jd8m2v5k0000000000000001",
                     *           "system": {
                     *             "database": "shop",
                     *             "host": "db.internal",
                     *             "password": "env://SHOP_PASSWORD",
                     *             "port": 5432,
                     *             "tls": "verify-full",
                     *             "type": "postgres",
                     *             "user": "waybill_ro"
                     *           },
                     *           "updated_at": "2025-11-21T02:00:04.000000Z",
                     *           "version": 1
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ConnectionPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    connection_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "shop",
                 *       "project_id": "prj_01jd8m2v5k0000000000000001",
                 *       "system": {
                 *         "database": "shop",
                 *         "host": "db.internal",
                 *         "password": "env://SHOP_PASSWORD",
                 *         "port": 5432,
                 *         "tls": "verify-full",
                 *         "type": "postgres",
                 *         "user": "waybill_ro"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["ConnectionCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "connection_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "con_01jd8m2v5k0000000000000001",
                     *       "kind": "postgres",
                     *       "name": "shop",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "system": {
                     *         "database": "shop",
                     *         "host": "db.internal",
                     *         "password": "env://SHOP_PASSWORD",
                     *         "port": 5432,
                     *         "tls": "verify-full",
                     *         "type": "postgres",
                     *         "user": "waybill_ro"
                     *       },
                     *       "updated_at": "2025-11-21T02:00:04.000000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Connection"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    connection_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                connection: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "connection_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "con_01jd8m2v5k0000000000000001",
                     *       "kind": "postgres",
                     *       "name": "shop",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "system": {
                     *         "database": "shop",
                     *         "host": "db.internal",
                     *         "password": "env://SHOP_PASSWORD",
                     *         "port": 5432,
                     *         "tls": "verify-full",
                     *         "type": "postgres",
                     *         "user": "waybill_ro"
                     *       },
                     *       "updated_at": "2025-11-21T02:00:04.000000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Connection"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    connection_delete: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                connection: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    connection_update: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                connection: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "secrets": {
                 *         "password": "env://SHOP_PASSWORD"
                 *       },
                 *       "system": {
                 *         "database": "shop",
                 *         "host": "db.internal",
                 *         "password": "env://SHOP_PASSWORD",
                 *         "port": 5432,
                 *         "tls": "verify-full",
                 *         "type": "postgres",
                 *         "user": "waybill_ro"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["ConnectionUpdate"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "connection_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "con_01jd8m2v5k0000000000000001",
                     *       "kind": "postgres",
                     *       "name": "shop",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "system": {
                     *         "database": "shop",
                     *         "host": "db.internal",
                     *         "password": "env://SHOP_PASSWORD",
                     *         "port": 5432,
                     *         "tls": "verify-full",
                     *         "type": "postgres",
                     *         "user": "waybill_ro"
                     *       },
                     *       "updated_at": "2025-11-21T02:00:04.000000Z",
                     *       "version": 1
                     *     }
                     */
                    "application/json": components["schemas"]["Connection"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description created_at, -created_at, name or -name; created_at where absent. */
                sort?: string;
                /** @description `estimate`: also say how many there are, counted up to 10000. */
                count?: string;
                /** @description Only the one of this name. */
                name?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "data_plane_resume",
                     *               "allowed": false,
                     *               "reason": "it takes runs"
                     *             }
                     *           ],
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "id": "dp_01jd8m2v5k0000000000000001",
                     *           "kind": "process",
                     *           "name": "local",
                     *           "settings": {
                     *             "environment": [
                     *               "SHOP_PASSWORD"
                     *             ]
                     *           }
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["DataPlanePage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "aws_ecs": {
                 *         "architecture": "x86_64",
                 *         "assign_public_ip": false,
                 *         "capacity": "fargate",
                 *         "cluster": "waybill",
                 *         "container": "worker",
                 *         "cpu": 1024,
                 *         "disk_gib": 0,
                 *         "fips": false,
                 *         "memory_mib": 2048,
                 *         "region": "eu-central-1",
                 *         "role_arn": "arn:aws:iam::222222222222:role/waybill-launch",
                 *         "security_groups": [
                 *           "sg-0a1b2c3d4e5f60718"
                 *         ],
                 *         "subnets": [
                 *           "subnet-0a1b2c3d4e5f60718"
                 *         ],
                 *         "task_family": "waybill-worker",
                 *         "task_role_arn": "arn:aws:iam::222222222222:role/waybill-worker"
                 *       },
                 *       "kind": "aws-ecs",
                 *       "name": "frankfurt",
                 *       "settings": {
                 *         "environment": []
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["DataPlaneCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "data_plane_resume",
                     *           "allowed": false,
                     *           "reason": "it takes runs"
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "dp_01jd8m2v5k0000000000000001",
                     *       "kind": "process",
                     *       "name": "local",
                     *       "settings": {
                     *         "environment": [
                     *           "SHOP_PASSWORD"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["DataPlane"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                data_plane: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "data_plane_resume",
                     *           "allowed": false,
                     *           "reason": "it takes runs"
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "dp_01jd8m2v5k0000000000000001",
                     *       "kind": "process",
                     *       "name": "local",
                     *       "settings": {
                     *         "environment": [
                     *           "SHOP_PASSWORD"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["DataPlane"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_update: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                data_plane: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "settings": {
                 *         "environment": [
                 *           "SHOP_PASSWORD"
                 *         ],
                 *         "region": "eu-central-1"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["DataPlaneUpdate"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "data_plane_resume",
                     *           "allowed": false,
                     *           "reason": "it takes runs"
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "dp_01jd8m2v5k0000000000000001",
                     *       "kind": "process",
                     *       "name": "local",
                     *       "settings": {
                     *         "environment": [
                     *           "SHOP_PASSWORD"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["DataPlane"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_check: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                data_plane: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "ready": true,
                     *       "rows": [
                     *         {
                     *           "action": "ecs:StopTask",
                     *           "detail": "allowed",
                     *           "found": "allowed",
                     *           "resource": "arn:aws:ecs:eu-central-1:222222222222:task/waybill/*"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["DataPlaneCheck"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_drain: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                data_plane: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "data_plane_resume",
                     *           "allowed": false,
                     *           "reason": "it takes runs"
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "dp_01jd8m2v5k0000000000000001",
                     *       "kind": "process",
                     *       "name": "local",
                     *       "settings": {
                     *         "environment": [
                     *           "SHOP_PASSWORD"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["DataPlane"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_policy: {
        parameters: {
            query?: {
                /** @description `trust`, `launch` or `all`; `all` where absent. */
                document?: string;
                /** @description Name or ARN of the role by which ECS starts the tasks; `launch` names it. */
                execution_role?: string;
            };
            header?: never;
            path: {
                /** @description Its id. */
                data_plane: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "role_arn": "arn:aws:iam::222222222222:role/waybill-launch",
                     *       "trust": "{ \"Version\": \"2012-10-17\", \"Statement\": [{ \"Sid\": \"OrchestratorWithExternalId\", \"Effect\": \"Allow\", \"Principal\": { \"AWS\": \"arn:aws:iam::111111111111:role/waybill-orchestrator\" }, \"Action\": \"sts:AssumeRole\", \"Condition\": { \"StringEquals\": { \"sts:ExternalId\": \"wb-0123456789abcdef0123456789abcdef\" } } }] }"
                     *     }
                     */
                    "application/json": components["schemas"]["DataPlanePolicy"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_resume: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                data_plane: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "data_plane_resume",
                     *           "allowed": false,
                     *           "reason": "it takes runs"
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "dp_01jd8m2v5k0000000000000001",
                     *       "kind": "process",
                     *       "name": "local",
                     *       "settings": {
                     *         "environment": [
                     *           "SHOP_PASSWORD"
                     *         ]
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["DataPlane"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    data_plane_test: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description Its id. */
                data_plane: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_cancel",
                     *           "allowed": false,
                     *           "reason": "the run has ended"
                     *         },
                     *         {
                     *           "action": "run_retry",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "attempt_list": [
                     *         {
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "ended_at": "2025-11-21T02:07:31.000000Z",
                     *           "enrolled_at": "2025-11-21T02:00:06.000000Z",
                     *           "epoch": 1763690404000000,
                     *           "failure": {
                     *             "code": "source_denied",
                     *             "hint": "check the user, the password reference and the grants of the source user"
                     *           },
                     *           "id": "att_01jd8m2v5k0000000000000001",
                     *           "number": 1,
                     *           "run_id": "run_01jd8m2v5k0000000000000001",
                     *           "state": "failed"
                     *         }
                     *       ],
                     *       "attempts": 1,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "desired": "run",
                     *       "destination": {
                     *         "bucket": "lake",
                     *         "prefix": "shop",
                     *         "type": "s3"
                     *       },
                     *       "ended_at": "2025-11-21T02:07:31.000000Z",
                     *       "failure": {
                     *         "code": "source_denied",
                     *         "hint": "check the user, the password reference and the grants of the source user"
                     *       },
                     *       "id": "run_01jd8m2v5k0000000000000001",
                     *       "kind": "sync",
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "pipeline_version": 3,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "started_at": "2025-11-21T02:00:06.000000Z",
                     *       "state": "failed",
                     *       "streams": [
                     *         {
                     *           "bytes": 388000000,
                     *           "coerced": 0,
                     *           "columns": {
                     *             "changed": 0,
                     *             "gone": 0,
                     *             "ignored": 0,
                     *             "new": 1
                     *           },
                     *           "delivered_late": false,
                     *           "files": 3,
                     *           "forget_cursor": false,
                     *           "index": 0,
                     *           "name": "public.orders",
                     *           "reload": false,
                     *           "rows": 1204511,
                     *           "state": "committed"
                     *         }
                     *       ],
                     *       "streams_delivered": 1,
                     *       "streams_total": 2,
                     *       "subject": "shop-nightly",
                     *       "trigger": "schedule"
                     *     }
                     */
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    events_watch: {
        parameters: {
            query?: {
                /** @description run:<id>, at most eight, separated by commas. */
                topics?: string;
            };
            header?: {
                /** @description Id of the last message that arrived. */
                "Last-Event-ID"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_cancel",
                     *           "allowed": false,
                     *           "reason": "the run has ended"
                     *         },
                     *         {
                     *           "action": "run_retry",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "attempt_list": [
                     *         {
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "ended_at": "2025-11-21T02:07:31.000000Z",
                     *           "enrolled_at": "2025-11-21T02:00:06.000000Z",
                     *           "epoch": 1763690404000000,
                     *           "failure": {
                     *             "code": "source_denied",
                     *             "hint": "check the user, the password reference and the grants of the source user"
                     *           },
                     *           "id": "att_01jd8m2v5k0000000000000001",
                     *           "number": 1,
                     *           "run_id": "run_01jd8m2v5k0000000000000001",
                     *           "state": "failed"
                     *         }
                     *       ],
                     *       "attempts": 1,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "desired": "run",
                     *       "destination": {
                     *         "bucket": "lake",
                     *         "prefix": "shop",
                     *         "type": "s3"
                     *       },
                     *       "ended_at": "2025-11-21T02:07:31.000000Z",
                     *       "failure": {
                     *         "code": "source_denied",
                     *         "hint": "check the user, the password reference and the grants of the source user"
                     *       },
                     *       "id": "run_01jd8m2v5k0000000000000001",
                     *       "kind": "sync",
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "pipeline_version": 3,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "started_at": "2025-11-21T02:00:06.000000Z",
                     *       "state": "failed",
                     *       "streams": [
                     *         {
                     *           "bytes": 388000000,
                     *           "coerced": 0,
                     *           "columns": {
                     *             "changed": 0,
                     *             "gone": 0,
                     *             "ignored": 0,
                     *             "new": 1
                     *           },
                     *           "delivered_late": false,
                     *           "files": 3,
                     *           "forget_cursor": false,
                     *           "index": 0,
                     *           "name": "public.orders",
                     *           "reload": false,
                     *           "rows": 1204511,
                     *           "state": "committed"
                     *         }
                     *       ],
                     *       "streams_delivered": 1,
                     *       "streams_total": 2,
                     *       "subject": "shop-nightly",
                     *       "trigger": "schedule"
                     *     }
                     */
                    "text/event-stream": components["schemas"]["RunDetail"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    invitation_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "invitation_revoke",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "email": "grace@example.org",
                     *           "expires_at": "2025-11-24T02:00:04.000000Z",
                     *           "id": "inv_01jd8m2v5k0000000000000001",
                     *           "invited_by": "usr_01jd8m2v5k0000000000000001",
                     *           "project_id": "prj_01jd8m2v5k0000000000000001",
                     *           "project_role": "editor",
                     *           "role": "member",
                     *           "state": "open"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["InvitationPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    invitation_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "grace@example.org",
                 *       "project_id": "prj_01jd8m2v5k0000000000000001",
                 *       "project_role": "editor"
                 *     }
                 */
                "application/json": components["schemas"]["InvitationCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "invitation": {
                     *         "allowed_actions": [
                     *           {
                     *             "action": "invitation_revoke",
                     *             "allowed": true
                     *           }
                     *         ],
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "email": "grace@example.org",
                     *         "expires_at": "2025-11-24T02:00:04.000000Z",
                     *         "id": "inv_01jd8m2v5k0000000000000001",
                     *         "invited_by": "usr_01jd8m2v5k0000000000000001",
                     *         "project_id": "prj_01jd8m2v5k0000000000000001",
                     *         "project_role": "editor",
                     *         "role": "member",
                     *         "state": "open"
                     *       },
                     *       "token": "wbi_…"
                     *     }
                     */
                    "application/json": components["schemas"]["InvitationMade"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    invitation_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                invitation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "invitation_revoke",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "email": "grace@example.org",
                     *       "expires_at": "2025-11-24T02:00:04.000000Z",
                     *       "id": "inv_01jd8m2v5k0000000000000001",
                     *       "invited_by": "usr_01jd8m2v5k0000000000000001",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "project_role": "editor",
                     *       "role": "member",
                     *       "state": "open"
                     *     }
                     */
                    "application/json": components["schemas"]["Invitation"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    invitation_revoke: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                invitation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "invitation_revoke",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "email": "grace@example.org",
                     *       "expires_at": "2025-11-24T02:00:04.000000Z",
                     *       "id": "inv_01jd8m2v5k0000000000000001",
                     *       "invited_by": "usr_01jd8m2v5k0000000000000001",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "project_role": "editor",
                     *       "role": "member",
                     *       "state": "open"
                     *     }
                     */
                    "application/json": components["schemas"]["Invitation"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    invitation_accept: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "password": "correct horse battery staple",
                 *       "token": "wbi_…"
                 *     }
                 */
                "application/json": components["schemas"]["InvitationAccept"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_expires_in_ms": 600000,
                     *       "access_token": "eyJhbGciOiJIUzUxMiIs…",
                     *       "refresh_expires_at": "2025-11-21T14:00:04.000000Z",
                     *       "refresh_token": "wbr_…"
                     *     }
                     */
                    "application/json": components["schemas"]["Tokens"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    key_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "key_revoke",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "created_by": "usr_01jd8m2v5k0000000000000001",
                     *       "expires_at": "2026-02-19T02:00:04.000000Z",
                     *       "id": "key_01jd8m2v5k0000000000000001",
                     *       "last_used_at": "2025-11-21T02:10:04.000000Z",
                     *       "name": "ci",
                     *       "networks": [
                     *         "198.51.100.0/24"
                     *       ],
                     *       "pipelines": [
                     *         "pl_01jd8m2v5k0000000000000001"
                     *       ],
                     *       "prefix": "wbk_01jd8m2v5k0000000000000001",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "role": "api",
                     *       "state": "active"
                     *     }
                     */
                    "application/json": components["schemas"]["ApiKey"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    key_revoke: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "key_revoke",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "created_by": "usr_01jd8m2v5k0000000000000001",
                     *       "expires_at": "2026-02-19T02:00:04.000000Z",
                     *       "id": "key_01jd8m2v5k0000000000000001",
                     *       "last_used_at": "2025-11-21T02:10:04.000000Z",
                     *       "name": "ci",
                     *       "networks": [
                     *         "198.51.100.0/24"
                     *       ],
                     *       "pipelines": [
                     *         "pl_01jd8m2v5k0000000000000001"
                     *       ],
                     *       "prefix": "wbk_01jd8m2v5k0000000000000001",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "role": "api",
                     *       "state": "active"
                     *     }
                     */
                    "application/json": components["schemas"]["ApiKey"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    login: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.org",
                 *       "password": "correct horse battery staple"
                 *     }
                 */
                "application/json": components["schemas"]["LoginRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_expires_in_ms": 600000,
                     *       "access_token": "eyJhbGciOiJIUzUxMiIs…",
                     *       "refresh_expires_at": "2025-11-21T14:00:04.000000Z",
                     *       "refresh_token": "wbr_…"
                     *     }
                     */
                    "application/json": components["schemas"]["Tokens"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    logout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    organization_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                organization: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "org_01jd8m2v5k0000000000000001",
                     *       "name": "Example"
                     *     }
                     */
                    "application/json": components["schemas"]["Organization"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    password_change: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "current_password": "correct horse battery staple",
                 *       "password": "other words nobody guesses"
                 *     }
                 */
                "application/json": components["schemas"]["PasswordChange"];
            };
        };
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    password_reset_use: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "password": "other words nobody guesses",
                 *       "token": "wbp_…"
                 *     }
                 */
                "application/json": components["schemas"]["PasswordResetUse"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_expires_in_ms": 600000,
                     *       "access_token": "eyJhbGciOiJIUzUxMiIs…",
                     *       "refresh_expires_at": "2025-11-21T14:00:04.000000Z",
                     *       "refresh_token": "wbr_…"
                     *     }
                     */
                    "application/json": components["schemas"]["Tokens"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pipeline_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description created_at, -created_at, name or -name; created_at where absent. */
                sort?: string;
                /** @description `estimate`: also say how many there are, counted up to 10000. */
                count?: string;
                /** @description Id of the project; the project `default` where absent. */
                project?: string;
                /** @description Only the one of this name. */
                name?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "run_start",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "data_plane_id": "dp_01jd8m2v5k0000000000000001",
                     *           "from": "shop",
                     *           "id": "pl_01jd8m2v5k0000000000000001",
                     *           "last_run": {
                     *             "created_at": "2025-11-21T02:00:04.000000Z",
                     *             "ended_at": "2025-11-21T02:01:04.000000Z",
                     *             "id": "run_01jd8m2v5k0000000000000001",
                     *             "state": "succeeded"
                     *           },
                     *           "name": "shop-nightly",
                     *           "next_run_at": "2025-11-22T02:00:04.000000Z",
                     *           "paused": false,
                     *           "project_id": "prj_01jd8m2v5k0000000000000001",
                     *           "streams": [
                     *             "public.orders",
                     *             "public.customers"
                     *           ],
                     *           "to": "lake",
                     *           "updated_at": "2025-11-21T02:01:04.000000Z",
                     *           "version": 3
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["PipelinePage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pipeline_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_start",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "data_plane_id": "dp_01jd8m2v5k0000000000000001",
                     *       "from": "shop",
                     *       "id": "pl_01jd8m2v5k0000000000000001",
                     *       "last_run": {
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "ended_at": "2025-11-21T02:01:04.000000Z",
                     *         "id": "run_01jd8m2v5k0000000000000001",
                     *         "state": "succeeded"
                     *       },
                     *       "name": "shop-nightly",
                     *       "next_run_at": "2025-11-22T02:00:04.000000Z",
                     *       "paused": false,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "streams": [
                     *         "public.orders",
                     *         "public.customers"
                     *       ],
                     *       "to": "lake",
                     *       "updated_at": "2025-11-21T02:01:04.000000Z",
                     *       "version": 3
                     *     }
                     */
                    "application/json": components["schemas"]["Pipeline"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pipeline_delete: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pipeline_update: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "paused": true
                 *     }
                 */
                "application/json": components["schemas"]["PipelineUpdate"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_start",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "data_plane_id": "dp_01jd8m2v5k0000000000000001",
                     *       "from": "shop",
                     *       "id": "pl_01jd8m2v5k0000000000000001",
                     *       "last_run": {
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "ended_at": "2025-11-21T02:01:04.000000Z",
                     *         "id": "run_01jd8m2v5k0000000000000001",
                     *         "state": "succeeded"
                     *       },
                     *       "name": "shop-nightly",
                     *       "next_run_at": "2025-11-22T02:00:04.000000Z",
                     *       "paused": false,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "streams": [
                     *         "public.orders",
                     *         "public.customers"
                     *       ],
                     *       "to": "lake",
                     *       "updated_at": "2025-11-21T02:01:04.000000Z",
                     *       "version": 3
                     *     }
                     */
                    "application/json": components["schemas"]["Pipeline"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pipeline_accept_epoch: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "found": 1893456000000000
                 *     }
                 */
                "application/json": components["schemas"]["EpochAccept"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_start",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "data_plane_id": "dp_01jd8m2v5k0000000000000001",
                     *       "from": "shop",
                     *       "id": "pl_01jd8m2v5k0000000000000001",
                     *       "last_run": {
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "ended_at": "2025-11-21T02:01:04.000000Z",
                     *         "id": "run_01jd8m2v5k0000000000000001",
                     *         "state": "succeeded"
                     *       },
                     *       "name": "shop-nightly",
                     *       "next_run_at": "2025-11-22T02:00:04.000000Z",
                     *       "paused": false,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "streams": [
                     *         "public.orders",
                     *         "public.customers"
                     *       ],
                     *       "to": "lake",
                     *       "updated_at": "2025-11-21T02:01:04.000000Z",
                     *       "version": 3
                     *     }
                     */
                    "application/json": components["schemas"]["Pipeline"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pipeline_describe: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "from": {
                     *         "connection": "shop",
                     *         "kind": "postgres",
                     *         "place": "postgres://db.internal:5432/shop"
                     *       },
                     *       "markdown": "# Pipeline `shop-nightly`\n",
                     *       "name": "shop-nightly",
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "streams": [
                     *         {
                     *           "facts": [
                     *             {
                     *               "is_set": false,
                     *               "key": "load",
                     *               "part": "read",
                     *               "text": "`full`: every row, in each run"
                     *             }
                     *           ],
                     *           "name": "public.orders"
                     *         }
                     *       ],
                     *       "to": {
                     *         "connection": "lake",
                     *         "kind": "s3",
                     *         "place": "s3://example-lake/raw/shop"
                     *       },
                     *       "version": 3
                     *     }
                     */
                    "application/json": components["schemas"]["PipelineDescription"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    schedule_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "schedule_set",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "catch_up": "last",
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "cron": "0 2 * * *",
                     *       "id": "sch_01jd8m2v5k0000000000000001",
                     *       "next_at": "2025-11-22T02:00:04.000000Z",
                     *       "overlap": "skip",
                     *       "paused": false,
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "zone": "Europe/Stockholm"
                     *     }
                     */
                    "application/json": components["schemas"]["Schedule"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    schedule_set: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of the object as it was read, to change it. */
                "If-Match"?: string;
                /** @description `*`, to make it where there is none. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "catch_up": "last",
                 *       "cron": "0 2 * * *",
                 *       "overlap": "skip",
                 *       "paused": false,
                 *       "zone": "Europe/Stockholm"
                 *     }
                 */
                "application/json": components["schemas"]["ScheduleSet"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "schedule_set",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "catch_up": "last",
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "cron": "0 2 * * *",
                     *       "id": "sch_01jd8m2v5k0000000000000001",
                     *       "next_at": "2025-11-22T02:00:04.000000Z",
                     *       "overlap": "skip",
                     *       "paused": false,
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "zone": "Europe/Stockholm"
                     *     }
                     */
                    "application/json": components["schemas"]["Schedule"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    schedule_delete: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pipeline_version_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description Its id. */
                pipeline: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "created_at": "2025-11-21T02:01:04.000000Z",
                     *           "created_by": "usr_01jd8m2v5k0000000000000001",
                     *           "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                     *           "plan": {
                     *             "pipeline": "shop-nightly",
                     *             "streams": [
                     *               {
                     *                 "load": "full",
                     *                 "name": "public.orders"
                     *               }
                     *             ]
                     *           },
                     *           "version": 3
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["PipelineVersionPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    project_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description created_at, -created_at, name or -name; created_at where absent. */
                sort?: string;
                /** @description `estimate`: also say how many there are, counted up to 10000. */
                count?: string;
                /** @description Only the one of this name. */
                name?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "project_update",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "allowed_regions": [
                     *             "eu-central-1"
                     *           ],
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "id": "prj_01jd8m2v5k0000000000000001",
                     *           "name": "default",
                     *           "role": "admin"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ProjectPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    project_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "staging"
                 *     }
                 */
                "application/json": components["schemas"]["ProjectCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "project_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "allowed_regions": [
                     *         "eu-central-1"
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "prj_01jd8m2v5k0000000000000001",
                     *       "name": "default",
                     *       "role": "admin"
                     *     }
                     */
                    "application/json": components["schemas"]["Project"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    project_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                project: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "project_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "allowed_regions": [
                     *         "eu-central-1"
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "prj_01jd8m2v5k0000000000000001",
                     *       "name": "default",
                     *       "role": "admin"
                     *     }
                     */
                    "application/json": components["schemas"]["Project"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    project_update: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                project: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "allowed_regions": [
                 *         "eu-central-1",
                 *         "eu-west-1"
                 *       ],
                 *       "name": "prod"
                 *     }
                 */
                "application/json": components["schemas"]["ProjectUpdate"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "project_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "allowed_regions": [
                     *         "eu-central-1"
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "id": "prj_01jd8m2v5k0000000000000001",
                     *       "name": "default",
                     *       "role": "admin"
                     *     }
                     */
                    "application/json": components["schemas"]["Project"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    key_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description Its id. */
                project: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "key_revoke",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "created_by": "usr_01jd8m2v5k0000000000000001",
                     *           "expires_at": "2026-02-19T02:00:04.000000Z",
                     *           "id": "key_01jd8m2v5k0000000000000001",
                     *           "last_used_at": "2025-11-21T02:10:04.000000Z",
                     *           "name": "ci",
                     *           "networks": [
                     *             "198.51.100.0/24"
                     *           ],
                     *           "pipelines": [
                     *             "pl_01jd8m2v5k0000000000000001"
                     *           ],
                     *           "prefix": "wbk_01jd8m2v5k0000000000000001",
                     *           "project_id": "prj_01jd8m2v5k0000000000000001",
                     *           "role": "api",
                     *           "state": "active"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ApiKeyPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    key_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description Its id. */
                project: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "days": 90,
                 *       "name": "ci",
                 *       "networks": [
                 *         "198.51.100.0/24"
                 *       ],
                 *       "pipelines": [
                 *         "pl_01jd8m2v5k0000000000000001"
                 *       ],
                 *       "role": "api"
                 *     }
                 */
                "application/json": components["schemas"]["KeyCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "key": {
                     *         "allowed_actions": [
                     *           {
                     *             "action": "key_revoke",
                     *             "allowed": true
                     *           }
                     *         ],
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "created_by": "usr_01jd8m2v5k0000000000000001",
                     *         "expires_at": "2026-02-19T02:00:04.000000Z",
                     *         "id": "key_01jd8m2v5k0000000000000001",
                     *         "name": "ci",
                     *         "networks": [
                     *           "198.51.100.0/24"
                     *         ],
                     *         "pipelines": [
                     *           "pl_01jd8m2v5k0000000000000001"
                     *         ],
                     *         "prefix": "wbk_01jd8m2v5k0000000000000001",
                     *         "project_id": "prj_01jd8m2v5k0000000000000001",
                     *         "role": "api",
                     *         "state": "active"
                     *       },
                     *       "secret": "wbk_01jd8m2v5k0000000000000001_…_…"
                     *     }
                     */
                    "application/json": components["schemas"]["KeyMade"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    member_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description Its id. */
                project: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "member_update",
                     *               "allowed": true
                     *             },
                     *             {
                     *               "action": "member_delete",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "disabled": false,
                     *           "email": "grace@example.org",
                     *           "project_id": "prj_01jd8m2v5k0000000000000001",
                     *           "role": "editor",
                     *           "user_id": "usr_01jd8m2v5k0000000000000002"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["MemberPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    member_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description Its id. */
                project: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "grace@example.org",
                 *       "role": "editor"
                 *     }
                 */
                "application/json": components["schemas"]["MemberCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "member_update",
                     *           "allowed": true
                     *         },
                     *         {
                     *           "action": "member_delete",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "disabled": false,
                     *       "email": "grace@example.org",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "role": "editor",
                     *       "user_id": "usr_01jd8m2v5k0000000000000002"
                     *     }
                     */
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    member_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                project: string;
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "member_update",
                     *           "allowed": true
                     *         },
                     *         {
                     *           "action": "member_delete",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "disabled": false,
                     *       "email": "grace@example.org",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "role": "editor",
                     *       "user_id": "usr_01jd8m2v5k0000000000000002"
                     *     }
                     */
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    member_delete: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                project: string;
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    member_update: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                project: string;
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "role": "operator"
                 *     }
                 */
                "application/json": components["schemas"]["MemberUpdate"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "member_update",
                     *           "allowed": true
                     *         },
                     *         {
                     *           "action": "member_delete",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "disabled": false,
                     *       "email": "grace@example.org",
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "role": "editor",
                     *       "user_id": "usr_01jd8m2v5k0000000000000002"
                     *     }
                     */
                    "application/json": components["schemas"]["Member"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    refresh: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "refresh_token": "wbr_…"
                 *     }
                 */
                "application/json": components["schemas"]["RefreshRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_expires_in_ms": 600000,
                     *       "access_token": "eyJhbGciOiJIUzUxMiIs…",
                     *       "refresh_expires_at": "2025-11-21T14:00:04.000000Z",
                     *       "refresh_token": "wbr_…"
                     *     }
                     */
                    "application/json": components["schemas"]["Tokens"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description -created_at, created_at, -started_at or started_at; -created_at where absent. */
                sort?: string;
                /** @description `estimate`: also say how many there are, counted up to 10000. */
                count?: string;
                /** @description Only of the project of this id. */
                project?: string;
                /** @description Only of the pipeline of this id. */
                pipeline?: string;
                /** @description Only of the connection of this id. */
                connection?: string;
                /** @description Only in this state. */
                state?: string;
                /** @description Only of this kind. */
                kind?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "run_cancel",
                     *               "allowed": false,
                     *               "reason": "the run has ended"
                     *             },
                     *             {
                     *               "action": "run_retry",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "attempts": 1,
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "desired": "run",
                     *           "ended_at": "2025-11-21T02:07:31.000000Z",
                     *           "failure": {
                     *             "code": "source_denied",
                     *             "hint": "check the user, the password reference and the grants of the source user"
                     *           },
                     *           "id": "run_01jd8m2v5k0000000000000001",
                     *           "kind": "sync",
                     *           "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *           "pipeline_version": 3,
                     *           "project_id": "prj_01jd8m2v5k0000000000000001",
                     *           "started_at": "2025-11-21T02:00:06.000000Z",
                     *           "state": "failed",
                     *           "streams_delivered": 1,
                     *           "streams_total": 2,
                     *           "subject": "shop-nightly",
                     *           "trigger": "schedule"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["RunPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_start: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "pipeline_id": "pl_01jd8m2v5k0000000000000001"
                 *     }
                 */
                "application/json": components["schemas"]["RunStart"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_cancel",
                     *           "allowed": false,
                     *           "reason": "the run has ended"
                     *         },
                     *         {
                     *           "action": "run_retry",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "attempt_list": [
                     *         {
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "ended_at": "2025-11-21T02:07:31.000000Z",
                     *           "enrolled_at": "2025-11-21T02:00:06.000000Z",
                     *           "epoch": 1763690404000000,
                     *           "failure": {
                     *             "code": "source_denied",
                     *             "hint": "check the user, the password reference and the grants of the source user"
                     *           },
                     *           "id": "att_01jd8m2v5k0000000000000001",
                     *           "number": 1,
                     *           "run_id": "run_01jd8m2v5k0000000000000001",
                     *           "state": "failed"
                     *         }
                     *       ],
                     *       "attempts": 1,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "desired": "run",
                     *       "destination": {
                     *         "bucket": "lake",
                     *         "prefix": "shop",
                     *         "type": "s3"
                     *       },
                     *       "ended_at": "2025-11-21T02:07:31.000000Z",
                     *       "failure": {
                     *         "code": "source_denied",
                     *         "hint": "check the user, the password reference and the grants of the source user"
                     *       },
                     *       "id": "run_01jd8m2v5k0000000000000001",
                     *       "kind": "sync",
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "pipeline_version": 3,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "started_at": "2025-11-21T02:00:06.000000Z",
                     *       "state": "failed",
                     *       "streams": [
                     *         {
                     *           "bytes": 388000000,
                     *           "coerced": 0,
                     *           "columns": {
                     *             "changed": 0,
                     *             "gone": 0,
                     *             "ignored": 0,
                     *             "new": 1
                     *           },
                     *           "delivered_late": false,
                     *           "files": 3,
                     *           "forget_cursor": false,
                     *           "index": 0,
                     *           "name": "public.orders",
                     *           "reload": false,
                     *           "rows": 1204511,
                     *           "state": "committed"
                     *         }
                     *       ],
                     *       "streams_delivered": 1,
                     *       "streams_total": 2,
                     *       "subject": "shop-nightly",
                     *       "trigger": "schedule"
                     *     }
                     */
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                run: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_cancel",
                     *           "allowed": false,
                     *           "reason": "the run has ended"
                     *         },
                     *         {
                     *           "action": "run_retry",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "attempt_list": [
                     *         {
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "ended_at": "2025-11-21T02:07:31.000000Z",
                     *           "enrolled_at": "2025-11-21T02:00:06.000000Z",
                     *           "epoch": 1763690404000000,
                     *           "failure": {
                     *             "code": "source_denied",
                     *             "hint": "check the user, the password reference and the grants of the source user"
                     *           },
                     *           "id": "att_01jd8m2v5k0000000000000001",
                     *           "number": 1,
                     *           "run_id": "run_01jd8m2v5k0000000000000001",
                     *           "state": "failed"
                     *         }
                     *       ],
                     *       "attempts": 1,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "desired": "run",
                     *       "destination": {
                     *         "bucket": "lake",
                     *         "prefix": "shop",
                     *         "type": "s3"
                     *       },
                     *       "ended_at": "2025-11-21T02:07:31.000000Z",
                     *       "failure": {
                     *         "code": "source_denied",
                     *         "hint": "check the user, the password reference and the grants of the source user"
                     *       },
                     *       "id": "run_01jd8m2v5k0000000000000001",
                     *       "kind": "sync",
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "pipeline_version": 3,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "started_at": "2025-11-21T02:00:06.000000Z",
                     *       "state": "failed",
                     *       "streams": [
                     *         {
                     *           "bytes": 388000000,
                     *           "coerced": 0,
                     *           "columns": {
                     *             "changed": 0,
                     *             "gone": 0,
                     *             "ignored": 0,
                     *             "new": 1
                     *           },
                     *           "delivered_late": false,
                     *           "files": 3,
                     *           "forget_cursor": false,
                     *           "index": 0,
                     *           "name": "public.orders",
                     *           "reload": false,
                     *           "rows": 1204511,
                     *           "state": "committed"
                     *         }
                     *       ],
                     *       "streams_delivered": 1,
                     *       "streams_total": 2,
                     *       "subject": "shop-nightly",
                     *       "trigger": "schedule"
                     *     }
                     */
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_cancel: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                run: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_cancel",
                     *           "allowed": false,
                     *           "reason": "the run has ended"
                     *         },
                     *         {
                     *           "action": "run_retry",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "attempt_list": [
                     *         {
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "ended_at": "2025-11-21T02:07:31.000000Z",
                     *           "enrolled_at": "2025-11-21T02:00:06.000000Z",
                     *           "epoch": 1763690404000000,
                     *           "failure": {
                     *             "code": "source_denied",
                     *             "hint": "check the user, the password reference and the grants of the source user"
                     *           },
                     *           "id": "att_01jd8m2v5k0000000000000001",
                     *           "number": 1,
                     *           "run_id": "run_01jd8m2v5k0000000000000001",
                     *           "state": "failed"
                     *         }
                     *       ],
                     *       "attempts": 1,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "desired": "run",
                     *       "destination": {
                     *         "bucket": "lake",
                     *         "prefix": "shop",
                     *         "type": "s3"
                     *       },
                     *       "ended_at": "2025-11-21T02:07:31.000000Z",
                     *       "failure": {
                     *         "code": "source_denied",
                     *         "hint": "check the user, the password reference and the grants of the source user"
                     *       },
                     *       "id": "run_01jd8m2v5k0000000000000001",
                     *       "kind": "sync",
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "pipeline_version": 3,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "started_at": "2025-11-21T02:00:06.000000Z",
                     *       "state": "failed",
                     *       "streams": [
                     *         {
                     *           "bytes": 388000000,
                     *           "coerced": 0,
                     *           "columns": {
                     *             "changed": 0,
                     *             "gone": 0,
                     *             "ignored": 0,
                     *             "new": 1
                     *           },
                     *           "delivered_late": false,
                     *           "files": 3,
                     *           "forget_cursor": false,
                     *           "index": 0,
                     *           "name": "public.orders",
                     *           "reload": false,
                     *           "rows": 1204511,
                     *           "state": "committed"
                     *         }
                     *       ],
                     *       "streams_delivered": 1,
                     *       "streams_total": 2,
                     *       "subject": "shop-nightly",
                     *       "trigger": "schedule"
                     *     }
                     */
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_discovery: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                run: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "tables": [
                     *         {
                     *           "columns": [
                     *             {
                     *               "name": "id",
                     *               "nullable": false,
                     *               "source_type": "bigint"
                     *             },
                     *             {
                     *               "name": "updated_at",
                     *               "nullable": false,
                     *               "source_type": "timestamp with time zone"
                     *             }
                     *           ],
                     *           "key": [
                     *             "id"
                     *           ],
                     *           "name": "public.orders",
                     *           "rows_estimate": 1490000
                     *         }
                     *       ],
                     *       "tables_withheld": 0
                     *     }
                     */
                    "application/json": components["schemas"]["Discovery"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_events: {
        parameters: {
            query?: {
                /** @description Only with a higher number. */
                after?: string;
                /** @description Items per answer, 1 to 1000; 200 where absent. */
                limit?: string;
                /** @description Only this loud or louder: info, warn or error. */
                level?: string;
                /** @description Only those whose sentence or code holds this text, in any case. */
                find?: string;
            };
            header?: never;
            path: {
                /** @description Its id. */
                run: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "ended": false,
                     *       "items": [
                     *         {
                     *           "at": "2025-11-21T02:00:16.000000Z",
                     *           "attempt_id": "att_01jd8m2v5k0000000000000001",
                     *           "bytes": 135581696,
                     *           "code": "part_uploaded",
                     *           "level": "info",
                     *           "rows": 401503,
                     *           "seq": 14,
                     *           "stream": 0,
                     *           "stream_name": "public.orders",
                     *           "text": "public.orders: a data file of 401,503 rows and 129.3 MiB is complete"
                     *         }
                     *       ],
                     *       "more": false,
                     *       "next_after": 14
                     *     }
                     */
                    "application/json": components["schemas"]["RunEvents"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_receipt: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                run: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "run_id": "run_01jd8m2v5k0000000000000001",
                     *       "streams": [
                     *         {
                     *           "adopted": false,
                     *           "bytes": 388000000,
                     *           "coerced": 0,
                     *           "digest": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                     *           "files": 3,
                     *           "grade": "counted",
                     *           "index": 0,
                     *           "name": "public.orders",
                     *           "rows": 1204511,
                     *           "state": "committed",
                     *           "version": 41
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ReceiptDigest"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_retry: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description Its id. */
                run: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "run_cancel",
                     *           "allowed": false,
                     *           "reason": "the run has ended"
                     *         },
                     *         {
                     *           "action": "run_retry",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "attempt_list": [
                     *         {
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "ended_at": "2025-11-21T02:07:31.000000Z",
                     *           "enrolled_at": "2025-11-21T02:00:06.000000Z",
                     *           "epoch": 1763690404000000,
                     *           "failure": {
                     *             "code": "source_denied",
                     *             "hint": "check the user, the password reference and the grants of the source user"
                     *           },
                     *           "id": "att_01jd8m2v5k0000000000000001",
                     *           "number": 1,
                     *           "run_id": "run_01jd8m2v5k0000000000000001",
                     *           "state": "failed"
                     *         }
                     *       ],
                     *       "attempts": 1,
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "desired": "run",
                     *       "destination": {
                     *         "bucket": "lake",
                     *         "prefix": "shop",
                     *         "type": "s3"
                     *       },
                     *       "ended_at": "2025-11-21T02:07:31.000000Z",
                     *       "failure": {
                     *         "code": "source_denied",
                     *         "hint": "check the user, the password reference and the grants of the source user"
                     *       },
                     *       "id": "run_01jd8m2v5k0000000000000001",
                     *       "kind": "sync",
                     *       "pipeline_id": "pl_01jd8m2v5k0000000000000001",
                     *       "pipeline_version": 3,
                     *       "project_id": "prj_01jd8m2v5k0000000000000001",
                     *       "started_at": "2025-11-21T02:00:06.000000Z",
                     *       "state": "failed",
                     *       "streams": [
                     *         {
                     *           "bytes": 388000000,
                     *           "coerced": 0,
                     *           "columns": {
                     *             "changed": 0,
                     *             "gone": 0,
                     *             "ignored": 0,
                     *             "new": 1
                     *           },
                     *           "delivered_late": false,
                     *           "files": 3,
                     *           "forget_cursor": false,
                     *           "index": 0,
                     *           "name": "public.orders",
                     *           "reload": false,
                     *           "rows": 1204511,
                     *           "state": "committed"
                     *         }
                     *       ],
                     *       "streams_delivered": 1,
                     *       "streams_total": 2,
                     *       "subject": "shop-nightly",
                     *       "trigger": "schedule"
                     *     }
                     */
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    run_trail: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description Its id. */
                run: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "action": "ecs:RunTask",
                     *           "attempt_id": "att_01jd8m2v5k0000000000000001",
                     *           "calls": 1,
                     *           "data_plane_id": "dp_01jd8m2v5k0000000000000001",
                     *           "first_at": "2025-11-21T02:00:05.000000Z",
                     *           "id": "trl_01jd8m2v5k0000000000000001",
                     *           "last_at": "2025-11-21T02:00:05.000000Z",
                     *           "outcome": "ok",
                     *           "region": "eu-central-1",
                     *           "request_ids": [
                     *             "3f1c1b9e-5a3d-4c55-9f0a-0b1c2d3e4f50"
                     *           ],
                     *           "role_arn": "arn:aws:iam::222222222222:role/waybill-launch",
                     *           "run_id": "run_01jd8m2v5k0000000000000001",
                     *           "session": "att_01jd8m2v5k0000000000000001"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["TrailEntryPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    session_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "current": true,
                     *           "expires_at": "2025-11-28T02:00:04.000000Z",
                     *           "id": "ses_01jd8m2v5k0000000000000001",
                     *           "ip": "198.51.100.7",
                     *           "used_at": "2025-11-21T02:10:04.000000Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["SessionPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    session_revoke: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "session_id": "ses_01jd8m2v5k0000000000000001"
                 *     }
                 */
                "application/json": components["schemas"]["SessionRevoke"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "ended": 1
                     *     }
                     */
                    "application/json": components["schemas"]["SessionsRevoked"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    setup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.org",
                 *       "organization": "Example",
                 *       "password": "correct horse battery staple",
                 *       "setup_token": "setup_4f0c…"
                 *     }
                 */
                "application/json": components["schemas"]["SetupRequest"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_expires_in_ms": 600000,
                     *       "access_token": "eyJhbGciOiJIUzUxMiIs…",
                     *       "refresh_expires_at": "2025-11-21T14:00:04.000000Z",
                     *       "refresh_token": "wbr_…"
                     *     }
                     */
                    "application/json": components["schemas"]["Tokens"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sign_in_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "at": "2025-11-21T02:00:04.000000Z",
                     *           "how": "login",
                     *           "ip": "198.51.100.7",
                     *           "outcome": "refused",
                     *           "seq": 7
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["SignInPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    spec_apply: {
        parameters: {
            query?: {
                /** @description true: only say what would change. */
                dry_run?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "document": "waybill: 1\nconnections:\n  shop: { type: sqlite, path: /data/shop.db }\n  lake: { type: local, path: /data/lake }\npipelines:\n  shop-nightly: { from: shop, to: lake, streams: { orders: { load: full } } }\n",
                 *       "project_id": "prj_01jd8m2v5k0000000000000001",
                 *       "prune": false
                 *     }
                 */
                "application/json": components["schemas"]["SpecApply"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "changes": [
                     *         {
                     *           "fields": [
                     *             {
                     *               "after": "0 2 * * *",
                     *               "before": "0 3 * * *",
                     *               "path": "cron"
                     *             }
                     *           ],
                     *           "id": "sch_01jd8m2v5k0000000000000001",
                     *           "kind": "change",
                     *           "last_changed_at": "2025-11-21T02:00:04.000000Z",
                     *           "name": "shop-nightly",
                     *           "noun": "schedule"
                     *         }
                     *       ],
                     *       "dry_run": true,
                     *       "plan_digest": "8f3c1a5b2b0b822cd15d6c15b0f00a089f86d081884c7d659a2feaa0c55ad015"
                     *     }
                     */
                    "application/json": components["schemas"]["SpecApplied"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    spec_validate: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "document": "waybill: 1\nconnections:\n  shop: { type: sqlite, path: /data/shop.db }\n  lake: { type: local, path: /data/lake }\npipelines:\n  shop-nightly: { from: shop, to: lake, streams: { orders: { load: full } } }\n"
                 *     }
                 */
                "application/json": components["schemas"]["SpecValidate"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "diagnostics": [
                     *         {
                     *           "code": "spec_unknown_field",
                     *           "column": 63,
                     *           "line": 6,
                     *           "message": "unknown field `laod` in stream orders",
                     *           "suggestion": "did you mean `load`?"
                     *         }
                     *       ],
                     *       "valid": false
                     *     }
                     */
                    "application/json": components["schemas"]["SpecDiagnostics"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    trail_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description Only of the data plane of this id. */
                data_plane?: string;
                /** @description Only with a call at this time or later, which must be a time from which on the trail is kept. */
                since?: string;
                /** @description Only with a call before this time. */
                until?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "action": "ecs:RunTask",
                     *           "attempt_id": "att_01jd8m2v5k0000000000000001",
                     *           "calls": 1,
                     *           "data_plane_id": "dp_01jd8m2v5k0000000000000001",
                     *           "first_at": "2025-11-21T02:00:05.000000Z",
                     *           "id": "trl_01jd8m2v5k0000000000000001",
                     *           "last_at": "2025-11-21T02:00:05.000000Z",
                     *           "outcome": "ok",
                     *           "region": "eu-central-1",
                     *           "request_ids": [
                     *             "3f1c1b9e-5a3d-4c55-9f0a-0b1c2d3e4f50"
                     *           ],
                     *           "role_arn": "arn:aws:iam::222222222222:role/waybill-launch",
                     *           "run_id": "run_01jd8m2v5k0000000000000001",
                     *           "session": "att_01jd8m2v5k0000000000000001"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["TrailEntryPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    user_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description created_at, -created_at, name or -name (the e-mail address); created_at where absent. */
                sort?: string;
                /** @description `estimate`: also say how many there are, counted up to 10000. */
                count?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "allowed_actions": [
                     *             {
                     *               "action": "user_update",
                     *               "allowed": true
                     *             }
                     *           ],
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "disabled": false,
                     *           "email": "ada@example.org",
                     *           "id": "usr_01jd8m2v5k0000000000000001",
                     *           "organization_id": "org_01jd8m2v5k0000000000000001",
                     *           "role": "administrator"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["UserPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    user_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A repeat with the same key and body gives what the first one made. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "grace@example.org",
                 *       "password": "a long first password",
                 *       "role": "member"
                 *     }
                 */
                "application/json": components["schemas"]["UserCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "user_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "disabled": false,
                     *       "email": "ada@example.org",
                     *       "id": "usr_01jd8m2v5k0000000000000001",
                     *       "organization_id": "org_01jd8m2v5k0000000000000001",
                     *       "role": "administrator"
                     *     }
                     */
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    user_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description `ETag` of what the caller has; 304 where it is still so. */
                "If-None-Match"?: string;
            };
            path: {
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "user_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "disabled": false,
                     *       "email": "ada@example.org",
                     *       "id": "usr_01jd8m2v5k0000000000000001",
                     *       "organization_id": "org_01jd8m2v5k0000000000000001",
                     *       "role": "administrator"
                     *     }
                     */
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    user_update: {
        parameters: {
            query?: never;
            header: {
                /** @description `ETag` of the object as it was read. */
                "If-Match": string;
            };
            path: {
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "disabled": false,
                 *       "role": "administrator"
                 *     }
                 */
                "application/json": components["schemas"]["UserUpdate"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "allowed_actions": [
                     *         {
                     *           "action": "user_update",
                     *           "allowed": true
                     *         }
                     *       ],
                     *       "created_at": "2025-11-21T02:00:04.000000Z",
                     *       "disabled": false,
                     *       "email": "ada@example.org",
                     *       "id": "usr_01jd8m2v5k0000000000000001",
                     *       "organization_id": "org_01jd8m2v5k0000000000000001",
                     *       "role": "administrator"
                     *     }
                     */
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    user_password_reset: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "hours": 1
                 *     }
                 */
                "application/json": components["schemas"]["PasswordResetCreate"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "expires_at": "2025-11-21T03:00:04.000000Z",
                     *       "token": "wbp_…",
                     *       "user_id": "usr_01jd8m2v5k0000000000000001"
                     *     }
                     */
                    "application/json": components["schemas"]["PasswordResetMade"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    user_session_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "created_at": "2025-11-21T02:00:04.000000Z",
                     *           "current": true,
                     *           "expires_at": "2025-11-28T02:00:04.000000Z",
                     *           "id": "ses_01jd8m2v5k0000000000000001",
                     *           "ip": "198.51.100.7",
                     *           "used_at": "2025-11-21T02:10:04.000000Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["SessionPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    user_session_revoke: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "session_id": "ses_01jd8m2v5k0000000000000001"
                 *     }
                 */
                "application/json": components["schemas"]["SessionRevoke"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "ended": 1
                     *     }
                     */
                    "application/json": components["schemas"]["SessionsRevoked"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    user_sign_in_list: {
        parameters: {
            query?: {
                /** @description Items per page, 1 to 200; 50 where absent. */
                limit?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description Its id. */
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "at": "2025-11-21T02:00:04.000000Z",
                     *           "how": "login",
                     *           "ip": "198.51.100.7",
                     *           "outcome": "refused",
                     *           "seq": 7
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["SignInPage"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    whoami: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "organization": {
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "id": "org_01jd8m2v5k0000000000000001",
                     *         "name": "Example"
                     *       },
                     *       "session_id": "ses_01jd8m2v5k0000000000000001",
                     *       "user": {
                     *         "allowed_actions": [
                     *           {
                     *             "action": "user_update",
                     *             "allowed": true
                     *           }
                     *         ],
                     *         "created_at": "2025-11-21T02:00:04.000000Z",
                     *         "disabled": false,
                     *         "email": "ada@example.org",
                     *         "id": "usr_01jd8m2v5k0000000000000001",
                     *         "organization_id": "org_01jd8m2v5k0000000000000001",
                     *         "role": "administrator"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Whoami"];
                };
            };
            /** @description A problem. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
