// People, roles, sessions, data planes and the audit chain: what may be changed is changed, and what may not says why.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { OWNER, VIEWER, World } from "./world.mjs";

let world;

before(async () => {
  world = await World.start();
});
after(async () => {
  await world?.stop();
});

const of = (page, table, who) => page.getByRole("region", { name: table }).getByRole("row").filter({ hasText: who });
const PROJECT = "Members of the project";
const ORGANIZATION = "People of the organization";
const reason = async (page, button) => page.locator(`[id="${await button.getAttribute("aria-describedby")}"]`).textContent();

test("an owner changes a role and takes the sign-in away and gives it back", async () => {
  const page = await world.page();
  await world.signIn(page, OWNER, "/settings/members");
  const theirs = await world.page();
  await world.signIn(theirs, VIEWER);
  const member = of(page, PROJECT, VIEWER.email);
  const change = member.getByRole("button", { name: `Change role ${VIEWER.email}` });
  assert.equal(await reason(page, change), "choose another role first");
  await member.getByLabel(`Role of ${VIEWER.email}`).selectOption("operator");
  const changed = page.waitForResponse((response) => response.request().method() === "PATCH");
  await change.click();
  assert.equal((await changed).status(), 200);
  await member.getByText("choose another role first").waitFor();
  await page.waitForFunction((who) => [...document.querySelectorAll("select")].find((one) => one.ariaLabel === `Role of ${who}`)?.value === "operator", VIEWER.email);
  assert.match(await world.cli("member", "list"), /grace@example\.org\s.*operator/);
  const own = of(page, ORGANIZATION, OWNER.email).getByRole("button", { name: `Disable ${OWNER.email}` });
  assert.equal(await own.getAttribute("aria-disabled"), "true");
  assert.notEqual((await reason(page, own)).trim(), "");
  const user = of(page, ORGANIZATION, VIEWER.email);
  await user.getByRole("button", { name: `Disable ${VIEWER.email}` }).click();
  await user.getByText("disabled", { exact: true }).waitFor();
  await theirs.getByLabel("Password").waitFor();
  await user.getByRole("button", { name: `Enable ${VIEWER.email}` }).click();
  await user.getByText("may sign in").waitFor();
  await world.signIn(theirs, VIEWER);
  assert.deepEqual([page.violations, page.faults], [[], []]);
  await theirs.context().close();
  await page.context().close();
});

test("what somebody else changed meanwhile is not overwritten", async () => {
  const page = await world.page();
  await world.signIn(page, OWNER, "/settings/members");
  const member = of(page, PROJECT, VIEWER.email);
  await member.getByLabel(`Role of ${VIEWER.email}`).selectOption("editor");
  await world.cli("member", "set", VIEWER.email, "--role", "viewer");
  await member.getByRole("button", { name: `Change role ${VIEWER.email}` }).click();
  await member.getByRole("alert").getByText(/changed meanwhile/).waitFor();
  assert.match(await world.cli("member", "list"), /grace@example\.org\s.*viewer/);
  await page.context().close();
});

test("who may change nobody sees every button disabled with its reason", async () => {
  const page = await world.page();
  await world.signIn(page, VIEWER, "/settings/members");
  const sent = [];
  page.on("request", (request) => ["POST", "PATCH", "DELETE"].includes(request.method()) && sent.push(request.url()));
  await page.getByRole("region", { name: PROJECT }).or(page.getByRole("alert")).first().waitFor();
  await page.getByRole("region", { name: ORGANIZATION }).or(page.getByRole("alert")).last().waitFor();
  const buttons = await page.locator("td button").all();
  assert.ok(buttons.length > 0, "nothing is hidden from who may not press it");
  for (const button of buttons) {
    assert.equal(await button.getAttribute("aria-disabled"), "true");
    assert.notEqual((await reason(page, button)).trim(), "");
    await button.click({ force: true });
  }
  assert.deepEqual(sent, []);
  await page.context().close();
});

test("a person is text however the address is written", async () => {
  const page = await world.page();
  await page.route(/\/v1\/users\?|\/v1\/users$/, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replaceAll(VIEWER.email, "\u202Emoc<img src=x onerror=alert(1)>") });
  });
  await world.signIn(page, OWNER, "/settings/members");
  await of(page, ORGANIZATION, "‹U+202E›moc<img src=x onerror=alert(1)>").waitFor();
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(page.violations, []);
  await page.context().close();
});

test("other sessions are ended and sign-ins are told", async () => {
  const one = await world.page();
  await world.signIn(one, VIEWER, "/settings/sessions");
  const two = await world.page();
  await world.signIn(two, VIEWER);
  await one.reload();
  const open = one.getByRole("region", { name: "Open sessions" });
  await open.getByText("this one").waitFor();
  await open.getByRole("button", { name: /^End the session of/ }).first().waitFor();
  assert.equal(await open.getByRole("row").filter({ hasText: "this one" }).getByRole("button").count(), 0);
  await one.getByRole("region", { name: "Sign-ins" }).getByText("with the password").first().waitFor();
  await one.getByRole("button", { name: "End all other sessions" }).click();
  await two.getByLabel("Password").waitFor();
  await one.waitForFunction(() => document.querySelectorAll('[aria-label="Open sessions"] tbody tr').length === 1);
  assert.equal(await one.getByRole("button", { name: "End all other sessions" }).count(), 0);
  assert.deepEqual([one.violations, one.faults], [[], []]);
  await two.context().close();
  await one.context().close();
});

test("a data plane is drained and takes runs again and the audit chain tells who did it", async () => {
  const page = await world.page();
  await world.signIn(page, OWNER, "/data-planes");
  const planes = page.getByRole("region", { name: "Data planes" });
  await planes.getByText("takes runs").waitFor();
  await planes.getByRole("button", { name: /^Drain / }).click();
  await planes.getByText("drained").waitFor();
  await planes.getByRole("button", { name: /^Resume / }).click();
  await planes.getByText("takes runs").waitFor();
  const { user } = await world.send(page, "GET", "/v1/whoami");
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Audit" }).click();
  const chain = page.getByRole("region", { name: "Audit" });
  for (const action of ["data plane drain", "data plane resume"]) {
    const entry = chain.getByRole("row").filter({ hasText: action }).first();
    await entry.waitFor();
    assert.ok((await entry.textContent()).includes(user.id), "it says who");
  }
  assert.deepEqual([page.violations, page.faults], [[], []]);
  await page.context().close();
  const viewer = await world.page();
  await world.signIn(viewer, VIEWER, "/data-planes");
  const drain = viewer.getByRole("button", { name: /^Drain / }).first();
  await drain.waitFor();
  assert.equal(await drain.getAttribute("aria-disabled"), "true");
  assert.match(await reason(viewer, drain), /\w/);
  await viewer.goto(`${world.url}/audit`);
  await viewer.getByRole("alert").waitFor();
  assert.equal(await viewer.getByRole("region", { name: "Audit" }).count(), 0, "a viewer reads no audit");
  await viewer.context().close();
});
