// What stands around every page: places to go, the project, the look, the zone, and whether all of it is live.
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, useSyncExternalStore } from "react";
import { api, good } from "./api/client";
import { leave, signedIn, watchSession } from "./api/session";
import { linkNow, watchLink } from "./live/status";
import { SignIn } from "./pages/signin";
import { showTime, zoneName } from "./ui/format";
import { Name } from "./ui/parts";
import { THEMES, type Theme, themeNow, wear } from "./ui/theme";

export function Shell() {
  return useSyncExternalStore(watchSession, signedIn) ? <Frame /> : <SignIn />;
}

function Frame() {
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
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const projects = useQuery({
    queryKey: ["projects"],
    queryFn: () => good(api.GET("/v1/projects", { params: { query: { limit: "200", sort: "name" } } })),
    staleTime: 60_000,
  });
  const items = projects.data?.items ?? [];
  return (
    <label className="pick">
      <span>Project</span>
      <select
        value={search.project ?? items.find((project) => project.name === "default")?.id ?? ""}
        onChange={(event) => void navigate({ to: "/pipelines", search: { project: event.target.value } })}
      >
        {items.map((project) => (
          <option key={project.id} value={project.id}>
            {project.name}
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
