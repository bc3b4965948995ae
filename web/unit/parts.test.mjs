// What needs no browser: the budget, and the reader of the event stream. The sources are compiled as the pages are.
import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { weigh } from "../tools/budget.mjs";
import { source } from "./source.mjs";

test("a build over its budget is refused", () => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-budget-"));
  try {
    mkdirSync(join(directory, "assets"));
    writeFileSync(join(directory, "index.html"), '<script src="/assets/a.js"></script>');
    writeFileSync(join(directory, "assets/a.js"), randomBytes(219_000));
    writeFileSync(join(directory, "assets/a.css"), randomBytes(14_000));
    assert.deepEqual(weigh(directory).over, []);
    writeFileSync(join(directory, "assets/a.js"), randomBytes(221_000));
    writeFileSync(join(directory, "assets/a.css"), randomBytes(16_000));
    writeFileSync(join(directory, "assets/lazy.js"), randomBytes(131_000));
    assert.deepEqual(weigh(directory).over, ["first", "css", "lazy"]);
    writeFileSync(join(directory, "assets/b.svg"), randomBytes(400_000));
    assert.ok(weigh(directory).over.includes("all"));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the event stream is read whole however it is cut", async () => {
  const { splitter, placer } = await source("/src/live/frames.ts");
  const text = ': ping\n\nevent: run\nid: run_a:0,run_b:0\ndata: {"a":1}\n\nevent: event\nid: run_a:0,run_b:7\ndata: one\ndata: two\n\n';
  for (const size of [1, 2, 3, 7, text.length]) {
    const split = splitter();
    const frames = [];
    for (let at = 0; at < text.length; at += size) frames.push(...split(text.slice(at, at + size)));
    assert.deepEqual(frames, [
      { event: "run", id: "run_a:0,run_b:0", data: '{"a":1}' },
      { event: "event", id: "run_a:0,run_b:7", data: "one\ntwo" },
    ]);
  }
  const place = placer();
  assert.deepEqual(["run_a:0,run_b:0", "run_a:0,run_b:7", "run_a:7,run_b:7", "run_a:9,run_b:7"].map(place), ["", "run_b", "run_a", "run_a"]);
});

test("what is not known is a dash and what would turn text round is seen", async () => {
  const { inert, showBytes, showCount, showDuration } = await source("/src/ui/format.ts");
  assert.deepEqual([showCount(null), showCount(0), showCount(1204511)], ["–", "0", "1,204,511"]);
  assert.deepEqual([showBytes(undefined), showBytes(1023), showBytes(1024 ** 2 * 3)], ["–", "1023 B", "3.0 MiB"]);
  assert.deepEqual([showDuration(900), showDuration(59_900), showDuration(447_000), showDuration(7_260_000)], ["900 ms", "59.9 s", "7 m 27 s", "2 h 1 m"]);
  assert.equal(inert("a\u202Eb\u0000\u200Bé"), "a‹U+202E›b‹U+0000›‹U+200B›é");
});
