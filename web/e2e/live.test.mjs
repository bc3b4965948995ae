// What is live stays live: more runs than one stream tells of, runs that have ended, streams that begin anew, tabs that come back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { OWNER, World } from "./world.mjs";

let world;

before(async () => {
  world = await World.start();
});
after(async () => {
  await world?.stop();
});

const row = (page, name) => page.getByRole("row").filter({ hasText: name }).first();
const status = (page, word) => page.locator("header.title .status", { hasText: word });

/** Starts runs that stay queued until the data plane takes them again. */
async function queued(page, pipelines, then) {
  const send = (...request) => world.send(page, ...request);
  const plane = (await send("GET", "/v1/data-planes")).items[0].id;
  await send("POST", `/v1/data-planes/${plane}/drain`);
  let drained = true;
  const resume = async () => {
    if (drained) await send("POST", `/v1/data-planes/${plane}/resume`);
    drained = false;
  };
  try {
    const runs = [];
    const list = (await send("GET", "/v1/pipelines?limit=200")).items;
    for (const name of pipelines) {
      const { id } = list.find((pipeline) => pipeline.name === name);
      runs.push((await send("POST", "/v1/runs", { pipeline_id: id })).id);
    }
    await then(runs, resume);
  } finally {
    await resume();
  }
}

test("a ninth open run is as live as the eight that one stream tells of", async () => {
  const names = Array.from({ length: 9 }, (_, at) => `small-${at + 1}`);
  await world.add(names);
  const first = await world.page();
  await world.signIn(first);
  await row(first, "demo").waitFor();
  await queued(first, names, async (runs, resume) => {
    const tabs = [];
    for (const run of runs) {
      const tab = await world.watched(first.context());
      await tab.goto(`${world.url}/runs/${run}`);
      await status(tab, "queued").waitFor();
      tabs.push(tab);
    }
    // While all others are open, whichever of them has no place in the stream.
    const ends = [0, 8];
    for (const at of ends) {
      await world.send(first, "POST", `/v1/runs/${runs[at]}/cancel`);
      await status(tabs[at], "canceled").waitFor();
    }
    await resume();
    const rest = tabs.filter((_, at) => !ends.includes(at));
    await Promise.all(rest.map((tab) => status(tab, "succeeded").waitFor({ timeout: 60_000 })));
    await Promise.all(rest.map((tab) => tab.getByRole("region", { name: "Events" }).getByText(/delivered: readers see/).first().waitFor({ timeout: 15_000 })));
    for (const tab of tabs) assert.deepEqual(tab.faults, []);
  });
  await first.context().close();
});

test("a stream that begins anew goes on after what was told and tells a new tab everything", async () => {
  const one = await world.page();
  await world.signIn(one);
  await row(one, "demo").waitFor();
  const asked = [];
  one.context().on("request", (request) => request.url().includes("/v1/events?") && asked.push(request.headers()["last-event-id"] ?? ""));
  const lines = (page) => page.getByRole("region", { name: "Events" }).getByRole("listitem");
  await queued(one, ["small-1", "small-2"], async ([a, b], resume) => {
    await one.goto(`${world.url}/runs/${a}`);
    await lines(one).first().waitFor();
    const before = asked.length;
    const two = await world.watched(one.context());
    await two.goto(`${world.url}/runs/${b}`);
    await lines(two).first().waitFor();
    const last = Object.fromEntries(asked.slice(before).join(",").split(",").map((part) => part.split(":")));
    assert.ok(Number(last[a]) > 0, `it began from the first event: ${asked}`);
    assert.equal(last[b], "0");
    const three = await world.watched(one.context());
    await three.goto(`${world.url}/runs/${a}`);
    await lines(three).first().waitFor();
    assert.equal(await lines(three).count(), await lines(one).count(), "a tab that comes later is told everything");
    await resume();
    await Promise.all([one, two, three].map((page) => status(page, "succeeded").waitFor({ timeout: 40_000 })));
  });
  await one.context().close();
});

test("what changes of a run that has ended is seen", async () => {
  const run = await world.ran("small-1");
  const page = await world.page();
  await world.signIn(page, OWNER, `/runs/${run}`);
  await status(page, "succeeded").waitFor();
  await page.route(`**/v1/runs/${run}`, async (route) => {
    const answer = await route.fetch();
    const shown = await answer.json();
    shown.streams[0].delivered_late = true;
    await route.fulfill({ response: answer, json: shown });
  });
  await page.getByText("delivered late").waitFor({ timeout: 15_000 });
  await page.unroute(`**/v1/runs/${run}`);
  await page.route(`**/v1/runs/${run}`, (route) => route.fulfill({ status: 404, contentType: "application/problem+json", body: JSON.stringify({ title: "Not found", code: "not_found", detail: "no such run" }) }));
  await page.getByRole("alert").getByText("no such run").waitFor({ timeout: 15_000 });
  await page.context().close();
});

test("a tab that comes back with used tokens waits for the tab that has newer ones and spends nothing", async () => {
  const one = await world.page();
  await world.signIn(one);
  const two = await world.watched(one.context());
  await two.goto(world.url);
  await row(two, "demo").waitFor();
  const old = (page) =>
    page.evaluate(() => {
      const session = JSON.parse(sessionStorage.getItem("waybill.session"));
      sessionStorage.setItem("waybill.session", JSON.stringify({ ...session, until: 0 }));
    });
  // The second tab is thrown out of memory: what it keeps is what it had.
  await old(two);
  await two.goto("about:blank");
  await old(one);
  const renewed = one.waitForResponse((response) => response.url().endsWith("/v1/refresh"));
  await one.reload();
  assert.equal((await renewed).status(), 200);
  await row(one, "demo").waitFor();
  const refreshed = [];
  one.context().on("request", (request) => request.url().endsWith("/v1/refresh") && refreshed.push(request));
  // The tab that knows better is busy while the other one comes back.
  const busy = one.evaluate(() => {
    const until = performance.now() + 2_000;
    while (performance.now() < until);
  });
  await two.goto(world.url);
  await row(two, "demo").waitFor();
  await busy;
  assert.equal(refreshed.length, 0, "used tokens were sent");
  await one.reload();
  await row(one, "demo").waitFor();
  await one.context().close();
});

test("a tab that comes back with used tokens when nobody has newer ones asks for the password and spends nothing", async () => {
  const page = await world.page();
  await world.signIn(page);
  await row(page, "demo").waitFor();
  await page.evaluate(() => {
    const session = JSON.parse(sessionStorage.getItem("waybill.session"));
    sessionStorage.setItem("waybill.session", JSON.stringify({ ...session, until: 0 }));
    localStorage.setItem("waybill.session.newest", String(session.serial + 1));
  });
  const refreshed = [];
  page.on("request", (request) => request.url().endsWith("/v1/refresh") && refreshed.push(request));
  await page.reload();
  await page.getByLabel("Password").waitFor();
  assert.equal(refreshed.length, 0);
  await page.context().close();
});
