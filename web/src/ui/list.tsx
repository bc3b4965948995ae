// A list as it comes: asked for, refused, empty, or there; and what is from before a choice is marked as that.
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Trouble, Waiting } from "./parts";
import type { Chosen } from "./project";

interface ListingProps<T> {
  list: UseQueryResult<{ items: T[] }>;
  /** The project that it is of, where it is of one. */
  project?: Chosen;
  /** What stands there instead of nothing. */
  empty: ReactNode;
  children: (items: T[]) => ReactNode;
}

export function Listing<T>({ list, project, empty, children }: ListingProps<T>) {
  if (project?.error) return <Trouble error={project.error} />;
  if (project?.none) return <p className="card">You are in no project yet: ask an administrator to take you into one.</p>;
  if (list.isPending) return <Waiting />;
  return (
    <>
      {list.isError ? <Trouble error={list.error} /> : null}
      {list.isPlaceholderData ? (
        <p role="status" className="older">
          Loading… What stands below is from before your choice.
        </p>
      ) : null}
      {list.data === undefined ? null : (
        <div className={list.isPlaceholderData ? "listing old" : "listing"} aria-busy={list.isPlaceholderData}>
          {list.data.items.length === 0 ? empty : children(list.data.items)}
        </div>
      )}
    </>
  );
}
