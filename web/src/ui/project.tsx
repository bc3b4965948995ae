// Which project a list is of: the one in the address, or else the one named `default`, or else the first that is seen. The server is
// always told its id, so that every list means the same one.
import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { api, good, type Schemas } from "../api/client";
import { choose } from "./choose";
import { Name } from "./parts";

export interface Chosen {
  /** Absent as long as it is not known. */
  id: string | undefined;
  name: string | undefined;
  all: Schemas["Project"][];
  error: Error | null;
  /** Whether there is none at all. */
  none: boolean;
}

export function useProject(): Chosen {
  const search = useSearch({ strict: false });
  const projects = useQuery({
    queryKey: ["projects"],
    queryFn: () => good(api.GET("/v1/projects", { params: { query: { limit: "200", sort: "name" } } })),
    staleTime: 60_000,
  });
  const all = projects.data?.items ?? [];
  const chosen = projects.data === undefined ? undefined : choose(all, search.project);
  return { id: chosen?.id, name: chosen?.name, all, error: projects.error, none: projects.data !== undefined && chosen === undefined };
}

/** What a list is of, in words. */
export const OfProject = ({ project }: { project: Chosen }) => (
  <p className="quiet">{project.name === undefined ? "Of a project that you do not see" : <>Of project <Name>{project.name}</Name></>}</p>
);
