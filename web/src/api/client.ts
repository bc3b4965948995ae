// The typed client of the API. Every request carries the token in a header; nothing is ever kept in a cookie or put into an address.
import createClient, { type Middleware } from "openapi-fetch";
import { reached } from "../live/status";
import type { components, paths } from "./schema";
import { end, renew, token } from "./session";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

/** What the server refused, in its own words. */
export class Refused extends Error {
  readonly problem: Partial<Problem>;
  readonly status: number;
  /** Seconds to wait before another try, where the server asked for it. */
  readonly after: number | null;

  constructor(status: number, problem: Partial<Problem>, after: number | null) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    this.name = "Refused";
    this.status = status;
    this.problem = problem;
    this.after = after;
  }
}

const OPEN = new Set(["/v1/login", "/v1/refresh"]);
/** What stands before the server answers so where it is gone. */
const GONE = new Set([502, 503, 504]);
/** A request that hangs so long is lost. */
const PATIENCE_MS = 15_000;

const middleware: Middleware = {
  async onRequest({ request, schemaPath }) {
    const bearer = OPEN.has(schemaPath) ? null : await token();
    if (bearer !== null) request.headers.set("authorization", `Bearer ${bearer}`);
    return request;
  },
  async onResponse({ request, response, schemaPath }) {
    reached(!GONE.has(response.status));
    if (response.status !== 401 || OPEN.has(schemaPath)) return response;
    const old = request.headers.get("authorization")?.replace("Bearer ", "") ?? "";
    await renew(old);
    const bearer = await token();
    // A request with a body can't be sent again: its body is used up. Its sender sees the refusal and tries once more.
    if (bearer === null || bearer === old || request.method !== "GET") {
      if (bearer === old) end();
      return response;
    }
    const headers = new Headers(request.headers);
    headers.set("authorization", `Bearer ${bearer}`);
    return fetch(new Request(request, { headers }));
  },
  onError({ error }) {
    reached(false);
    return error instanceof Error ? error : new Error("the server was not reached");
  },
};

export const api = createClient<paths>({
  baseUrl: "",
  credentials: "omit",
  cache: "no-store",
  fetch: (request) => fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]) }),
});
api.use(middleware);

/** The body of a success, or what was refused as an error. */
export async function good<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  const after = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new Refused(response.status, (error ?? {}) as Partial<Problem>, Number.isFinite(after) ? after : null);
}

export const once = (): { "Idempotency-Key": string } => ({ "Idempotency-Key": crypto.randomUUID() });
