// Which address is which page. What a page shows is decided by its address alone.
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Link,
  redirect,
  retainSearchParams,
} from "@tanstack/react-router";
import { SignedIn } from "./pages/accept";
import { Pipeline } from "./pages/pipeline";
import { Pipelines } from "./pages/pipelines";
import { Run } from "./pages/run";
import { LEVELS } from "./pages/run/events";
import { KINDS, Runs, STATES } from "./pages/runs";
import { Shell } from "./shell";
import { Heading } from "./ui/heading";
import { Trouble } from "./ui/parts";

type Search = Record<string, unknown>;

const text = (search: Search, key: string): string | undefined => {
  const value = search[key];
  return typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined;
};
const among = <T extends string>(search: Search, key: string, words: readonly T[]): T | undefined =>
  words.find((word) => word === search[key]);

const paged = (search: Search): { cursor?: string } => ({ cursor: text(search, "cursor") });

interface RootSearch {
  project?: string;
}

const root = createRootRoute({
  component: Shell,
  errorComponent: ({ error }) => <Trouble error={error} />,
  notFoundComponent: () => (
    <>
      <Heading title="No such page" />
      <p>
        <Link to="/pipelines">Go to the pipelines</Link>
      </p>
    </>
  ),
  validateSearch: (search: Search): RootSearch => ({ project: text(search, "project") }),
  search: { middlewares: [retainSearchParams(["project"])] },
});

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/pipelines", replace: true });
  },
});

const pipelines = createRoute({
  getParentRoute: () => root,
  path: "/pipelines",
  validateSearch: paged,
  component: Pipelines,
});

const pipeline = createRoute({ getParentRoute: () => root, path: "/pipelines/$pipeline", component: Pipeline });

interface RunsSearch {
  pipeline?: string;
  state?: (typeof STATES)[number];
  kind?: (typeof KINDS)[number];
  cursor?: string;
}

const runs = createRoute({
  getParentRoute: () => root,
  path: "/runs",
  validateSearch: (search: Search): RunsSearch => ({
    pipeline: text(search, "pipeline"),
    state: among(search, "state", STATES),
    kind: among(search, "kind", KINDS),
    cursor: text(search, "cursor"),
  }),
  component: Runs,
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$run",
  validateSearch: (search: Search): { level?: (typeof LEVELS)[number]; find?: string } => ({
    level: among(search, "level", LEVELS),
    find: text(search, "find"),
  }),
  component: Run,
});

const failures = createRoute({
  getParentRoute: () => root,
  path: "/docs/failures",
  component: lazyRouteComponent(() => import("./pages/failures"), "FailureCodes"),
});

const accept = createRoute({ getParentRoute: () => root, path: "/accept", component: SignedIn });
const reset = createRoute({ getParentRoute: () => root, path: "/reset", component: SignedIn });

const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  beforeLoad: () => {
    throw redirect({ to: "/settings/members", replace: true });
  },
});

const members = createRoute({
  getParentRoute: () => root,
  path: "/settings/members",
  validateSearch: paged,
  component: lazyRouteComponent(() => import("./pages/settings/members"), "Members"),
});

const sessions = createRoute({
  getParentRoute: () => root,
  path: "/settings/sessions",
  validateSearch: paged,
  component: lazyRouteComponent(() => import("./pages/settings/sessions"), "Sessions"),
});

const planes = createRoute({
  getParentRoute: () => root,
  path: "/data-planes",
  validateSearch: paged,
  component: lazyRouteComponent(() => import("./pages/planes"), "Planes"),
});

const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  validateSearch: paged,
  component: lazyRouteComponent(() => import("./pages/audit"), "Audit"),
});

export const router = createRouter({
  routeTree: root.addChildren([home, pipelines, pipeline, runs, run, failures, planes, audit, accept, reset, settings, members, sessions]),
  scrollRestoration: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
