// The way through a list, page by page. The cursor stands in the address, so that Back goes back.
import { Link } from "@tanstack/react-router";

interface PagerProps {
  to: "/pipelines" | "/runs" | "/data-planes" | "/audit" | "/settings/members" | "/settings/sessions";
  cursor: string | undefined;
  next: string | null | undefined;
}

export function Pager({ to, cursor, next }: PagerProps) {
  if (cursor === undefined && next == null) return null;
  return (
    <nav className="pager" aria-label="Pages of the list">
      {cursor === undefined ? null : (
        <Link to={to} search={(search) => ({ ...search, cursor: undefined })}>
          First page
        </Link>
      )}
      {next == null ? (
        <span className="quiet">Last page</span>
      ) : (
        <Link to={to} search={(search) => ({ ...search, cursor: next })}>
          Next page
        </Link>
      )}
    </nav>
  );
}
