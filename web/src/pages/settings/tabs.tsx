// The pages of the settings, side by side.
import { Link } from "@tanstack/react-router";

export const SettingsTabs = () => (
  <nav className="tabs" aria-label="Settings">
    <Link to="/settings/members" activeProps={{ "aria-current": "page" }}>
      People and roles
    </Link>
    <Link to="/settings/sessions" activeProps={{ "aria-current": "page" }}>
      My sessions
    </Link>
  </nav>
);
