// What stands around every page: places to go, the project, the look, the zone, and whether all of it is live.
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { useState, useSyncExternalStore } from "react";
import { api, good } from "./api/client";
import { leave, signedIn, watchSession } from "./api/session";
import { linkNow, watchLink } from "./live/status";
import { isLink, OfLink } from "./pages/accept";
import { SignIn } from "./pages/signin";
import { inert, showTime, zoneName } from "./ui/format";
import { Name } from "./ui/parts";
import { useProject } from "./ui/project";
import { THEMES, type Theme, themeNow, wear } from "./ui/theme";

/** Pages that list what one project has. */
const LISTS = ["/pipelines", "/runs", "/settings/members"] as const;

export function Shell() {
  const { pathname } = useLocation();
  const known = useSyncExternalStore(watchSession, signedIn);
  if (known) return <Frame />;
  return isLink(pathname) ? <OfLink key={pathname} pathname={pathname} /> : <SignIn />;
}

function Frame() {
  const settings = useLocation({ select: ({ pathname }) => pathname.startsWith("/settings") });
  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="bar">
        <Link to="/pipelines" className="brand">
          Waybill
        </Link>
        <ProjectSwitch />
        <span className="grow" />
        <span className="zone">Times in {zoneName()}</span>
        <ThemeSwitch />
        <Person />
      </header>
      <nav className="rail" aria-label="Pages">
        <Link to="/pipelines" activeProps={{ "aria-current": "page" }}>
          Pipelines
        </Link>
        <Link to="/runs" activeProps={{ "aria-current": "page" }}>
          Runs
        </Link>
        <Link to="/data-planes" activeProps={{ "aria-current": "page" }}>
          Data planes
        </Link>
        <Link to="/audit" activeProps={{ "aria-current": "page" }}>
          Audit
        </Link>
        <Link to="/settings/members" activeProps={{ "aria-current": "page" }} aria-current={settings ? "page" : undefined}>
          Settings
        </Link>
      </nav>
      <main id="main" tabIndex={-1}>
        <Banner />
        <Outlet />
      </main>
    </div>
  );
}

function Banner() {
  const link = useSyncExternalStore(watchLink, linkNow);
  const text = {
    live: "Live",
    reconnecting: "Reconnecting: what you see may be old",
    offline: `Offline since ${showTime(new Date(link.since).toISOString())}: what you see is from then`,
  }[link.word];
  return (
    <p role="status" className={`banner ${link.word}`}>
      {text}
    </p>
  );
}

function ProjectSwitch() {
  const project = useProject();
  const { pathname } = useLocation();
  const navigate = useNavigate();
  return (
    <label className="pick">
      <span>Project</span>
      <select
        value={project.id ?? ""}
        onChange={(event) => {
          // A list is shown of the other project; what is one project's own is left.
          const to = LISTS.find((list) => list === pathname) ?? "/pipelines";
          void navigate({ to, search: { project: event.target.value } });
        }}
      >
        {project.name === undefined ? <option value={project.id ?? ""}>–</option> : null}
        {project.all.map((one) => (
          <option key={one.id} value={one.id}>
            {inert(one.name)}
          </option>
        ))}
      </select>
    </label>
  );
}

function ThemeSwitch() {
  const [theme, setTheme] = useState<Theme>(themeNow);
  return (
    <label className="pick">
      <span>Theme</span>
      <select
        value={theme}
        onChange={(event) => {
          const chosen = event.target.value as Theme;
          wear(chosen);
          setTheme(chosen);
        }}
      >
        {THEMES.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}

function Person() {
  const who = useQuery({ queryKey: ["whoami"], queryFn: () => good(api.GET("/v1/whoami")), staleTime: 60_000 });
  return (
    <span className="person">
      {who.data ? <Name>{who.data.user.email}</Name> : null}
      <button type="button" onClick={() => void leave()}>
        Sign out
      </button>
    </span>
  );
}
