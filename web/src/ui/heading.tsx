// The heading of a page, which names it for everybody: in the tab's title, and for who does not see the page change, by the focus.
import { useMatch } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";
import { inert } from "./format";

/** The page that was shown last; none before the first one, which takes the focus from nobody. */
let last: string | null = null;

export function Heading({ title, children }: { title: string; children?: ReactNode }) {
  // Of this page, not of the one that is on its way.
  const pathname = useMatch({ strict: false, select: (match) => match.pathname });
  const place = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${inert(title)} · Waybill`;
  }, [title]);
  useEffect(() => {
    if (last !== null && last !== pathname) place.current?.focus();
    last = pathname;
  }, [pathname]);
  return (
    <h1 ref={place} tabIndex={-1}>
      {children ?? title}
    </h1>
  );
}
