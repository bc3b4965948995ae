// What is said of a failure, which project an address means, and what the console may be made of.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { source } from "./source.mjs";

const failure = { code: "source_denied", hint: "check the user" };
const stream = (index, name, more = {}) => ({ index, name, state: "failed", failure, ...more });
const event = (at, name, text, more = {}) => ({ code: "stream_failed", failure: "source_denied", stream: at, stream_name: name, text: `${name}: ${text}; check the user`, ...more });

test("streams of one code stand together only where the same was told of them", async () => {
  const { grouped } = await source("/src/pages/run/why.ts");
  const run = { failure, streams: [stream(0, "orders"), stream(1, "lines"), stream(2, "customers"), { index: 3, name: "done", state: "committed" }] };
  const events = [
    event(0, "orders", "failed: source_denied", { sqlstate: "28P01" }),
    event(1, "lines", "failed: source_denied", { sqlstate: "42501" }),
    event(2, "customers", "failed: source_denied", { sqlstate: "28P01" }),
  ];
  assert.deepEqual(
    grouped(run, events).map(({ what, streams }) => [what, streams]),
    [
      ["failed: source_denied · SQLSTATE 28P01", ["orders", "customers"]],
      ["failed: source_denied · SQLSTATE 42501", ["lines"]],
    ],
  );
  const whole = grouped({ failure: { code: "worker_lost", hint: "look" }, streams: run.streams }, []);
  assert.deepEqual(whole.map((group) => [group.failure.code, group.streams.length]), [["worker_lost", 0], ["source_denied", 3]]);
});

test("what was kept is said as far as it is known", async () => {
  const { kept } = await source("/src/pages/run/why.ts");
  const run = { kind: "sync", ended_at: "2026-11-21T02:00:00Z", streams: [], streams_delivered: 1, streams_total: 3 };
  assert.equal(kept(run), "1 of 3 streams delivered; the others are as before the run");
  assert.equal(kept({ ...run, streams_delivered: 2 }), "2 of 3 streams delivered; the other one is as before the run");
  assert.equal(kept({ ...run, streams_delivered: 0 }), "none of its streams was delivered: all of them are as before the run");
  assert.equal(kept({ ...run, streams_delivered: 3 }), "3 of 3 streams delivered: readers see all of them");
  assert.equal(kept({ ...run, ended_at: null }), "1 of 3 streams delivered so far; the run goes on");
  assert.match(kept({ ...run, streams: [{ state: "committing" }] }), /may still be found delivered/);
  assert.equal(kept({ ...run, kind: "check" }), null);
  assert.equal(kept({ ...run, streams_total: 0, streams_delivered: 0 }), null);
});

test("an address without a project means the default one or the first one where there is none of that name", async () => {
  const { choose } = await source("/src/ui/choose.ts");
  const [alpha, main] = [{ id: "prj_a", name: "alpha" }, { id: "prj_d", name: "default" }];
  assert.equal(choose([alpha, main], undefined), main);
  assert.equal(choose([alpha], undefined), alpha);
  assert.equal(choose([alpha, main], "prj_a"), alpha);
  assert.deepEqual(choose([main], "prj_x"), { id: "prj_x" });
  assert.equal(choose([], undefined), undefined);
});

test("a package without exact version or checksum or known licence is refused", () => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-npm-"));
  try {
    const look = () => spawnSync("python3", ["../deploy/dev/npm.py", directory], { encoding: "utf8" });
    const change = (name, how) => {
      for (const file of ["package.json", "package-lock.json"]) cpSync(file, join(directory, file));
      const file = join(directory, name);
      const read = JSON.parse(readFileSync(file, "utf8"));
      how(read);
      writeFileSync(file, JSON.stringify(read));
      return look();
    };
    assert.match(execFileSync("python3", ["../deploy/dev/npm.py", "."], { encoding: "utf8" }), /ok/);
    assert.equal(change("package.json", () => {}).status, 0);
    const refusals = [
      ["package.json", (read) => (read.devDependencies["@types/react"] = "^19"), /@types\/react is asked for as \^19/],
      ["package.json", (read) => (read.dependencies.react = "19.3.0"), /react 19\.3\.0 is asked for but not locked/],
      ["package-lock.json", (read) => delete read.packages["node_modules/react"].integrity, /react .* has no SHA-512/],
      ["package-lock.json", (read) => (read.packages["node_modules/react"].license = "GPL-3.0-only"), /GPL-3\.0-only/],
      // Good enough for a tool, not for what ships.
      ["package-lock.json", (read) => (read.packages["node_modules/react"].license = "MPL-2.0"), /MPL-2\.0/],
    ];
    for (const [name, how, said] of refusals) {
      const { status, stderr } = change(name, how);
      assert.equal(status, 1);
      assert.match(stderr, said);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
