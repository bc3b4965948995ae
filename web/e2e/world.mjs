// The real programs for a browser to meet: an orchestrator of its own with local workers, a source with rows, and people.
import { execFile, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
const programs = process.env.WAYBILL_PROGRAMS ?? "";
const browserPath = process.env.WAYBILL_CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const OWNER = { email: "ada@example.org", password: "a lantern for the night watch" };
export const VIEWER = { email: "grace@example.org", password: "seven kettles under a bridge" };
/** A table that somebody named to hurt: markup, and more letters than fit. */
export const HOSTILE = `<img src=x onerror="document.title='owned'"> ${"long".repeat(30)}`;

const SPEC = (home) => `waybill: 1
connections:
  shop: { type: sqlite, path: ${JSON.stringify(join(home, "shop.db"))} }
  odd: { type: sqlite, path: ${JSON.stringify(join(home, "odd.db"))} }
  attic: { type: local, path: ${JSON.stringify(join(home, "attic"))} }
  lake: { type: local, path: ${JSON.stringify(join(home, "lake"))} }
pipelines:
  demo:
    from: shop
    to: lake
    schedule: { cron: "0 2 * * *", zone: Europe/Stockholm }
    streams:
      lineitem: { load: full }
      orders: { load: new, cursor: o_orderkey }
  broken:
    from: shop
    to: attic
    streams:
      no_such_table: { load: full }
  hostile:
    from: odd
    to: lake
    streams:
      ${JSON.stringify(HOSTILE)}: { load: full }
`;

export class World {
  /** Starts the orchestrator and applies the pipelines. */
  static async start() {
    const world = new World();
    try {
      await world.prepare();
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  async prepare() {
    const world = this;
    world.home = mkdtempSync(join(tmpdir(), "waybill-web-"));
    world.state = join(world.home, "state");
    world.env = { ...process.env, WAYBILL_STATE: world.state, XDG_CONFIG_HOME: join(world.home, "config") };
    for (const port of ["API", "WORKER", "PRIVATE"]) world.env[`WAYBILL__SERVER__${port}`] = "127.0.0.1:0";
    world.env.WAYBILL__WORKER__PROGRAM = join(programs, "waybill-worker");
    await world.serve();
    await world.cli("login", "--email", OWNER.email, "--password-file", world.secret(OWNER.password));
    await run(join(programs, "waybill-seed"), ["sqlite", join(world.home, "shop.db"), "0.05", "1", "10"]);
    const odd = `import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); n=sys.argv[2].replace('"','""'); c.execute(f'create table "{n}" (id integer primary key)'); c.commit()`;
    await run("python3", ["-c", odd, join(world.home, "odd.db"), HOSTILE]);
    const spec = join(world.home, "demo.waybill.yaml");
    writeFileSync(spec, SPEC(world.home));
    await world.cli("apply", "-f", spec);
    await world.cli("user", "add", VIEWER.email, "--password-file", world.secret(VIEWER.password));
    await world.cli("member", "add", VIEWER.email, "--role", "viewer");
    world.browser = await chromium.launch({ executablePath: browserPath, headless: true, args: FLAGS });
  }

  /** Applies small pipelines of these names. */
  async add(names) {
    const lines = names.map((name) => `  ${name}: { from: shop, to: ${name}, streams: { orders: { load: full } } }`);
    const ends = names.map((name) => `  ${name}: { type: local, path: ${JSON.stringify(join(this.home, name))} }`);
    const spec = join(this.home, "more.waybill.yaml");
    writeFileSync(spec, `waybill: 1\nconnections:\n  shop: { type: sqlite, path: ${JSON.stringify(join(this.home, "shop.db"))} }\n${ends.join("\n")}\npipelines:\n${lines.join("\n")}\n`);
    await this.cli("apply", "-f", spec);
  }

  async serve() {
    this.log = "";
    this.server = spawn(join(programs, "waybill-orchestrator"), ["serve", "--dev", "--state", this.state], { env: this.env });
    for (const out of [this.server.stdout, this.server.stderr]) out.on("data", (text) => (this.log += text));
    const ports = join(this.state, "ports.json");
    for (let tries = 0; !existsSync(ports); tries++) {
      if (this.server.exitCode !== null || tries > 600) throw new Error(`the orchestrator did not start:\n${this.log}`);
      await pause(50);
    }
    const port = JSON.parse(readFileSync(ports, "utf8")).api.split(":").at(-1);
    this.url = `https://localhost:${port}`;
  }

  secret(text) {
    const file = join(this.home, `secret-${Math.random().toString(36).slice(2)}`);
    writeFileSync(file, text);
    chmodSync(file, 0o600);
    return file;
  }

  async cli(...args) {
    return (await run(join(programs, "waybill"), args, { env: this.env })).stdout.trim();
  }

  /** A page of its own browser profile, which counts what the policy forbade and what failed in it. */
  async page({ theme = "light", width = 1280, height = 900 } = {}) {
    const context = await this.browser.newContext({
      ignoreHTTPSErrors: true,
      colorScheme: theme,
      viewport: { width, height },
      timezoneId: "Europe/Stockholm",
    });
    return this.watched(context);
  }

  async watched(context) {
    const page = await context.newPage();
    page.setDefaultTimeout(8_000);
    page.violations = [];
    page.faults = [];
    page.on("pageerror", (error) => page.faults.push(String(error)));
    await page.exposeFunction("violated", (what) => page.violations.push(what));
    await page.addInitScript(() =>
      document.addEventListener("securitypolicyviolation", (event) => window.violated(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`)),
    );
    return page;
  }

  async signIn(page, who = OWNER, path = "/") {
    await page.goto(this.url + path);
    await page.getByLabel("E-mail address").fill(who.email);
    await page.getByLabel("Password").fill(who.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
    return page;
  }

  /** A request of whoever is signed in at a page. */
  send(page, method, path, body) {
    return page.evaluate(
      async ([method, path, body]) => {
        const { access } = JSON.parse(sessionStorage.getItem("waybill.session"));
        const headers = { authorization: `Bearer ${access}`, "content-type": "application/json", "idempotency-key": crypto.randomUUID() };
        const request = { method, headers, body };
        const answer = await fetch(path, request);
        if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
        return answer.json();
      },
      [method, path, body === undefined ? undefined : JSON.stringify(body)],
    );
  }

  /** Runs a pipeline to its end by the command line; its id. */
  async ran(pipeline) {
    const id = await this.cli("run", "start", pipeline, "-o", "name");
    await this.cli("run", "watch", id).catch(() => null);
    return id;
  }

  async stop() {
    await this.browser?.close();
    if (this.server && this.server.exitCode === null) {
      const ended = new Promise((done) => this.server.once("exit", done));
      this.server.kill("SIGTERM");
      await ended;
    }
    rmSync(this.home, { recursive: true, force: true });
  }
}
