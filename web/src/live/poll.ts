/** Lists have no stream: they are asked for anew so often, while the tab is seen. */
export const POLL_MS = 2_000;
