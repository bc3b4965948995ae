// The console in a real browser against the real programs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { HOSTILE, OWNER, VIEWER, World } from "./world.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let world;
const runs = {};

before(async () => {
  world = await World.start();
});
after(async () => {
  await world?.stop();
});

/** No page did what its policy forbids, and none failed inside. */
function clean(...pages) {
  for (const page of pages) {
    assert.deepEqual(page.violations, []);
    assert.deepEqual(page.faults, []);
  }
}

const row = (page, name) => page.getByRole("row").filter({ hasText: name }).first();
const rowsOf = (text) => Number(text.replaceAll(",", ""));

test("a person starts a run and sees its rows move and reads its receipt", async () => {
  const page = await world.page();
  await world.signIn(page);
  await page.getByRole("button", { name: "Run now demo" }).click();
  await page.waitForURL(/\/runs\/run_/);
  runs.demo = page.url().split("/").at(-1).split("?")[0];
  const cell = page.getByRole("region", { name: "Streams" }).getByRole("row").filter({ hasText: "lineitem" }).getByRole("cell").nth(1);
  const seen = new Set();
  const done = page.getByRole("region", { name: "Receipt" }).waitFor({ timeout: 40_000 }).then(() => true);
  while (!(await Promise.race([done, cell.textContent().then(() => false)]))) seen.add(await cell.textContent());
  const counts = [...seen].filter((text) => text !== "–").map(rowsOf);
  assert.ok(counts.length >= 2, `the rows did not move: ${[...seen]}`);
  assert.ok(counts.every((count, at) => at === 0 || count >= counts[at - 1]), `rows only grow: ${counts}`);
  assert.ok(!seen.has("0"), "what is not known is a dash");
  const receipt = page.getByRole("region", { name: "Receipt" }).getByRole("row").filter({ hasText: "lineitem" });
  const delivered = rowsOf(await receipt.getByRole("cell").nth(1).textContent());
  assert.ok(delivered > 10_000 && delivered >= Math.max(...counts), `${delivered}`);
  assert.match(await page.getByRole("region", { name: "Events" }).textContent(), /delivered: readers see/);
  clean(page);
});

test("a viewer sees every button disabled with its reason", async () => {
  const page = await world.page();
  await world.signIn(page, VIEWER);
  const started = [];
  page.on("request", (request) => request.method() === "POST" && started.push(request.url()));
  const button = page.getByRole("button", { name: "Run now demo" });
  await button.waitFor();
  assert.equal(await button.getAttribute("aria-disabled"), "true");
  const reason = await page.locator(`[id="${await button.getAttribute("aria-describedby")}"]`).textContent();
  assert.match(reason, /viewer/);
  await button.click({ force: true });
  await page.goto(`${world.url}/runs/${runs.demo}`);
  const cancel = page.getByRole("button", { name: /^Cancel/ });
  await cancel.waitFor();
  assert.equal(await cancel.getAttribute("aria-disabled"), "true");
  assert.deepEqual(started, []);
  clean(page);
});

test("t22 hostile names are text and the policy has nothing to forbid", async () => {
  const page = await world.page();
  await world.signIn(page);
  runs.hostile = await world.ran("hostile");
  for (const path of ["/pipelines", "/runs", `/runs/${runs.hostile}`]) {
    await page.goto(world.url + path);
    await page.getByRole("table").first().waitFor();
    assert.equal(await page.locator("img").count(), 0);
    assert.match(await page.title(), /^(Pipelines|Runs|hostile sync) · Waybill$/);
  }
  const text = await page.getByRole("region", { name: "Streams" }).textContent();
  assert.ok(text.includes(HOSTILE), text);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
  assert.equal((await page.context().cookies()).length, 0);
  // A server of ours takes no name that turns letters round; a page that is told one all the same shows what it is.
  await page.route(/\/v1\/pipelines/, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replaceAll('"hostile"', '"\u202Egnp.exe<script>alert(1)</script>"') });
  });
  await page.goto(`${world.url}/pipelines`);
  await row(page, "‹U+202E›gnp.exe<script>alert(1)</script>").waitFor();
  assert.ok(!(await page.locator("body").innerText()).includes("\u202E"));
  clean(page);
  // The policy is in force: the page itself can't make markup, script or an own style.
  const refused = await page.evaluate(() => {
    try {
      document.body.insertAdjacentHTML("beforeend", "<b>x</b>");
      return "taken";
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(refused, "TypeError");
});

test("a failed run says its code and place and what to do", async () => {
  runs.broken = await world.ran("broken");
  const page = await world.page();
  await world.signIn(page, OWNER, `/runs/${runs.broken}`);
  const card = page.getByRole("region", { name: /^Failure / }).first();
  await card.waitFor();
  const text = await card.textContent();
  for (const word of ["Where", "Kept", "Next"]) assert.ok(text.includes(word), text);
  const code = await card.getByRole("heading").textContent();
  await card.getByRole("link", { name: `About ${code}` }).click();
  assert.ok((await page.locator(`tr[id="${code}"].meant`).textContent()).includes(code));
  await page.goBack();
  await page.getByLabel("Level").selectOption("error");
  await page.waitForURL(/level=error/);
  const lines = page.getByRole("region", { name: "Events" }).last().getByRole("listitem");
  await lines.first().waitFor();
  for (const line of await lines.allTextContents()) assert.match(line, /ERROR/);
  await page.getByLabel("Find").fill("no such text anywhere");
  await page.waitForFunction(() => document.querySelectorAll(".log li").length === 0);
  await page.reload();
  assert.equal(await page.getByLabel("Find").inputValue(), "no such text anywhere");
  clean(page);
});

test("filters and pages of runs stand in the address", async () => {
  const page = await world.page();
  await world.signIn(page, OWNER, "/runs");
  await row(page, "demo").waitFor();
  await page.getByLabel("State").selectOption("failed");
  await page.waitForURL(/state=failed/);
  await page.waitForFunction(() => !document.querySelector("tbody")?.textContent.includes("demo"));
  await page.reload();
  await row(page, "broken").waitFor();
  assert.equal(await page.getByLabel("State").inputValue(), "failed");
  // The server's pages are followed one at a time.
  const one = (address) => {
    const url = new URL(address);
    url.searchParams.set("limit", "1");
    return url.href;
  };
  await page.route((url) => url.pathname === "/v1/runs", (route) => route.continue({ url: one(route.request().url()) }));
  await page.goto(`${world.url}/runs`);
  const first = await page.locator("tbody tr code.under").first().textContent();
  await page.getByRole("link", { name: "Next page" }).click();
  await page.waitForFunction((old) => document.querySelector("tbody tr code.under")?.textContent !== old, first);
  await page.goBack();
  await page.waitForFunction((old) => document.querySelector("tbody tr code.under")?.textContent === old, first);
  clean(page);
});

test("two tabs share one session and one stream and either takes over", async () => {
  const one = await world.page();
  const streams = [];
  one.context().on("request", (request) => request.url().includes("/v1/events") && streams.push(request));
  await world.signIn(one);
  const two = await world.watched(one.context());
  await two.goto(world.url);
  await row(two, "demo").waitFor();
  await one.getByRole("button", { name: "Run now demo" }).click();
  await one.waitForURL(/\/runs\/run_/);
  const run = one.url().split("/").at(-1).split("?")[0];
  await two.locator(`a[href^="/runs/${run}"]`).click();
  await Promise.all([one, two].map((page) => page.getByRole("region", { name: "Streams" }).getByText(/reading|committed/).first().waitFor()));
  const readers = new Set(streams.map((request) => request.frame().page()));
  assert.equal(readers.size, 1, "one tab reads for both");
  const [leader, other] = readers.has(one) ? [one, two] : [two, one];
  await leader.close();
  await other.getByRole("region", { name: "Receipt" }).waitFor({ timeout: 40_000 });
  clean(one, two);
});

test("a run that is not there ends nobody's live view", async () => {
  const one = await world.page();
  await world.signIn(one);
  await row(one, "demo").waitFor();
  await one.getByRole("button", { name: "Run now demo" }).click();
  await one.waitForURL(/\/runs\/run_/);
  const gone = await world.watched(one.context());
  const asked = gone.waitForResponse((response) => /\/v1\/runs\/run_/.test(response.url()) && response.status() === 404);
  await gone.goto(`${world.url}/runs/${runs.demo.slice(0, -4)}zzzz`);
  await asked;
  await one.getByRole("region", { name: "Receipt" }).waitFor({ timeout: 40_000 });
  await one.getByText("Live", { exact: true }).waitFor();
  assert.deepEqual(one.faults, []);
});

test("an answer of what stands before a server that is gone is not the server's", async () => {
  const page = await world.page();
  await world.signIn(page);
  await row(page, "demo").waitFor();
  await page.route(/\/v1\//, (route) => route.fulfill({ status: 502, body: "bad gateway" }));
  await page.getByText(/^Offline since/).waitFor();
  await page.unroute(/\/v1\//);
  await page.getByText("Live", { exact: true }).waitFor();
});

test("a lost server is never silent and what comes back is live again", async () => {
  const page = await world.page();
  await world.signIn(page);
  await row(page, "demo").waitFor();
  await page.context().setOffline(true);
  await page.getByText(/^Offline since/).waitFor({ timeout: 6_000 });
  await page.context().setOffline(false);
  await page.getByText("Live", { exact: true }).waitFor();
  clean(page);
});

test("everything is done by keyboard alone", async () => {
  const page = await world.page();
  await page.goto(world.url);
  const reach = async (role, name) => {
    for (let steps = 0; steps < 60; steps++) {
      await page.keyboard.press("Tab");
      const there = page.getByRole(role, { name }).first();
      if ((await there.count()) > 0 && (await there.evaluate((element) => element === document.activeElement))) return;
    }
    assert.fail(`${role} ${name} is not reached`);
  };
  await reach("textbox", "E-mail address");
  await page.keyboard.type(OWNER.email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(OWNER.password);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Run now broken" }).waitFor();
  await reach("link", "Runs");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Runs" }).waitFor();
  await row(page, "broken").waitFor();
  await reach("link", /^broken/);
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: /^Failure / }).first().waitFor();
  await reach("button", /^Retry/);
  const shown = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(shown, "solid", "the focus is seen");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname.startsWith("/runs/run_") && !url.pathname.includes(runs.broken));
  clean(page);
});

test("axe finds nothing on any page in either theme and 320 pixels are enough", async () => {
  const pipeline = JSON.parse(await world.cli("pipeline", "list", "-o", "json"));
  const id = (pipeline.items ?? pipeline.pipelines ?? pipeline).find((one) => one.name === "demo").id;
  const paths = ["/pipelines", `/pipelines/${id}`, "/runs", `/runs/${runs.demo}`, `/runs/${runs.broken}`, "/docs/failures", "/data-planes", "/audit", "/settings/members", "/settings/sessions"];
  for (const theme of ["light", "dark"]) {
    const page = await world.page({ theme });
    await page.addInitScript({ content: axe });
    const look = async (where) => {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const found = await page.evaluate(async () => {
        const { violations } = await window.axe.run(document);
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
      });
      assert.deepEqual(found, [], `${where} ${theme}`);
    };
    await page.goto(world.url);
    await page.getByLabel("Password").waitFor();
    await look("sign in");
    for (const path of ["/accept", "/reset"]) {
      await page.goto(world.url + path);
      await page.getByLabel(/password/).waitFor();
      await look(path);
    }
    await world.signIn(page);
    for (const path of paths) {
      await page.setViewportSize({ width: 1280, height: 900 });
      await page.goto(world.url + path);
      await page.getByRole("table").first().waitFor();
      await look(path);
      await page.setViewportSize({ width: 320, height: 640 });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(over <= 0, `${path} is ${over} pixels too wide at 320`);
    }
    assert.deepEqual(page.faults, []);
    await page.context().close();
  }
});

test("signing out ends the session for every tab and takes the tokens away", async () => {
  const one = await world.page();
  await world.signIn(one);
  const two = await world.watched(one.context());
  await two.goto(world.url);
  await row(two, "demo").waitFor();
  await one.getByRole("button", { name: "Sign out" }).click();
  for (const page of [one, two]) {
    await page.getByLabel("Password").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("waybill.session")), null);
  }
  clean(one, two);
});

// The last: from then on the address has to wait, whoever signs in from it.
test("t16 a wrong password is said in words and so is how long to wait", async () => {
  const page = await world.page();
  await page.goto(world.url);
  const enter = async () => {
    await page.getByLabel("E-mail address").fill("nobody@example.org");
    await page.getByLabel("Password").fill("not the password at all");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
  };
  await enter();
  assert.match(await page.getByRole("alert").textContent(), /e-mail address or (the )?password|log ?in/i);
  for (let tries = 0; tries < 8 && (await page.getByRole("timer").count()) === 0; tries++) await enter();
  assert.match(await page.getByRole("timer").textContent(), /next one counts in \d+ s/);
  assert.ok(await page.getByRole("button", { name: "Sign in" }).isDisabled());
  clean(page);
});
