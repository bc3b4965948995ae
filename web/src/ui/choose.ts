// The one rule by which an address names a project.

/** The project of an address among those that are seen. */
export function choose(all: { id: string; name: string }[], asked: string | undefined): { id: string; name?: string } | undefined {
  if (asked !== undefined) return all.find((project) => project.id === asked) ?? { id: asked };
  return all.find((project) => project.name === "default") ?? all[0];
}
