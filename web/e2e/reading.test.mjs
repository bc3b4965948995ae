// What a reader is told: which page, which project, what is old, and what is typed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { OWNER, World } from "./world.mjs";

let world;
let broken;

before(async () => {
  world = await World.start();
  broken = await world.ran("broken");
});
after(async () => {
  await world?.stop();
});

const row = (page, name) => page.getByRole("row").filter({ hasText: name }).first();
const focused = (page) => page.evaluate(() => [document.activeElement?.tagName, document.activeElement?.textContent]);

test("every page has its own title and its heading takes the focus when the page changes", async () => {
  const page = await world.page();
  await page.goto(world.url);
  await page.getByLabel("Password").waitFor();
  assert.equal(await page.title(), "Sign in to Waybill · Waybill");
  await world.signIn(page);
  await row(page, "broken").waitFor();
  assert.equal(await page.title(), "Pipelines · Waybill");
  for (const [link, title] of [["Runs", "Runs"], ["Pipelines", "Pipelines"]]) {
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: link }).click();
    await page.waitForFunction((text) => document.title === `${text} · Waybill`, title);
    await page.waitForFunction((text) => document.activeElement?.tagName === "H1" && document.activeElement.textContent === text, title);
  }
  await page.getByRole("link", { name: "broken" }).first().click();
  await page.waitForFunction(() => document.title === "broken · Waybill");
  assert.deepEqual(await focused(page), ["H1", "broken"]);
  await page.goto(`${world.url}/runs/${broken}`);
  await page.waitForFunction(() => document.title === "broken sync · Waybill");
  assert.notEqual((await focused(page))[0], "H1", "the first page takes the focus from nobody");
  await page.context().close();
});

test("without a project in the address every list means the default one and says so", async () => {
  const page = await world.page();
  await world.signIn(page);
  await row(page, "broken").waitFor();
  await world.send(page, "POST", "/v1/projects", { name: "second" });
  const asked = [];
  page.on("request", (request) => /\/v1\/(runs|pipelines)\?/.test(request.url()) && asked.push(new URL(request.url()).searchParams.get("project")));
  for (const path of ["/pipelines", "/runs"]) {
    await page.goto(world.url + path);
    await row(page, "broken").waitFor();
    await page.getByText("Of project default").waitFor();
  }
  const projects = new Set(asked);
  assert.equal(projects.size, 1, `${asked}`);
  assert.match([...projects][0], /^prj_/);
  await page.getByLabel("Project").selectOption("second");
  await page.getByText("Of project second").waitFor();
  assert.equal(new URL(page.url()).pathname, "/runs", "the list stays the list");
  await page.getByText(/Nothing ran in this project yet/).waitFor();
  await page.context().close();
});

test("what was asked for before a choice is marked until the answer to the choice is there", async () => {
  const page = await world.page();
  await world.signIn(page, OWNER, "/runs");
  await row(page, "broken").waitFor();
  let go;
  const held = new Promise((done) => (go = done));
  await page.route(/\/v1\/runs\?.*state=succeeded/, async (route) => {
    await held;
    await route.continue();
  });
  await page.getByLabel("State").selectOption("succeeded");
  await page.getByText("What stands below is from before your choice").waitFor();
  assert.equal(await page.locator('[aria-busy="true"]').getByRole("table").count(), 1);
  go();
  await page.getByText("No run is like this.").waitFor();
  assert.equal(await page.getByText("What stands below is from before your choice").count(), 0);
  await page.context().close();
});

test("what is typed to find stays as it is typed and the caret where it is", async () => {
  const page = await world.page();
  await world.signIn(page, OWNER, `/runs/${broken}`);
  const find = page.getByLabel("Find");
  await find.fill("failed");
  await find.evaluate((input) => input.setSelectionRange(0, 0));
  await find.pressSequentially("xyz", { delay: 60 });
  assert.equal(await find.inputValue(), "xyzfailed");
  await page.waitForURL(/find=xyzfailed/);
  assert.equal(await find.evaluate((input) => input.selectionStart), 3);
  await page.goBack();
  await page.context().close();
});

test("how many events there are is said once it is known", async () => {
  const page = await world.page();
  await page.route(/\/v1\/events\?/, () => {});
  await page.route(/\/v1\/runs\/[^/]+\/events/, () => {});
  await world.signIn(page, OWNER, `/runs/${broken}`);
  const heading = page.getByRole("heading", { name: /^Events/ });
  await heading.waitFor();
  assert.equal(await heading.textContent(), "Events not told yet");
  await page.unroute(/\/v1\/events\?/);
  await page.reload();
  await page.getByRole("heading", { name: /^Events [1-9]\d* of [1-9]/ }).waitFor();
  await page.context().close();
});

test("a refusal is shown beside what is known from before", async () => {
  const page = await world.page();
  await world.signIn(page);
  await page.getByRole("link", { name: "broken" }).first().click();
  await page.getByRole("heading", { name: "broken" }).waitFor();
  await page.route(/\/v1\/pipelines\/[^/?]+$/, (route) =>
    route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify({ title: "Forbidden", code: "forbidden", detail: "you may no more" }) }),
  );
  await page.getByRole("alert").getByText("you may no more").waitFor();
  await page.getByRole("heading", { name: "broken" }).waitFor();
  await page.context().close();
});
