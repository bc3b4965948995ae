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

test("who is invited makes their own account by the link that is shown once", async () => {
  const page = await world.page();
  await world.signIn(page, OWNER, "/settings/members");
  const form = page.getByRole("form", { name: "Invite a person" });
  await form.getByLabel("E-mail address").fill("ida@example.org");
  await form.getByLabel("Role in the project").selectOption("operator");
  await form.getByRole("button", { name: "Invite" }).click();
  const link = await page.locator("code.link").textContent();
  assert.match(link, /\/accept#token=wbi_/);
  const asked = of(page, "Invitations", "ida@example.org");
  assert.match(await asked.textContent(), /open.*member, and operator of a project/);
  const theirs = await world.page();
  const sent = [];
  theirs.on("request", (request) => sent.push(request.url()));
  await theirs.goto(link);
  await theirs.getByRole("heading", { name: "Accept an invitation to Waybill" }).waitFor();
  // The token leaves the address.
  await theirs.waitForURL(`${world.url}/accept`);
  await theirs.getByLabel("Your password").fill("waybillwaybill");
  await theirs.getByRole("button", { name: "Make my account" }).click();
  await theirs.getByRole("alert").waitFor();
  await theirs.getByLabel("Your password").fill("four words nobody guesses");
  await theirs.getByRole("button", { name: "Make my account" }).click();
  await theirs.getByRole("navigation", { name: "Pages" }).waitFor();
  await theirs.getByRole("banner").getByText("ida@example.org").waitFor();
  assert.ok(sent.every((url) => !url.includes("wbi_")), "no address that is sent holds the token");
  assert.match(await world.cli("member", "list"), /ida@example\.org\s.*operator/);
  // A link that was used says so, and who is signed in already makes no second account.
  await theirs.goto(link);
  await theirs.getByRole("heading", { name: "You are signed in already" }).waitFor();
  const late = await world.page();
  await late.goto(link);
  await late.getByLabel("Your password").fill("four words nobody guesses");
  await late.getByRole("button", { name: "Make my account" }).click();
  await late.getByRole("alert").getByText(/not valid \(any more\)/).waitFor();
  await form.getByLabel("E-mail address").fill("nobody@example.org");
  await form.getByRole("button", { name: "Invite" }).click();
  await of(page, "Invitations", "nobody@example.org").getByRole("button", { name: "Take back nobody@example.org" }).click();
  await of(page, "Invitations", "nobody@example.org").waitFor({ state: "detached" });
  assert.deepEqual([page.violations, page.faults, theirs.violations, theirs.faults], [[], [], [], []]);
  for (const one of [page, theirs, late]) await one.context().close();
});

test("who has a link for a new password chooses one and the sessions of before end", async () => {
  const page = await world.page();
  await world.signIn(page, OWNER, "/settings/members");
  const before = await world.page();
  const ida = { email: "ida@example.org", password: "four words nobody guesses" };
  await world.signIn(before, ida);
  await of(page, ORGANIZATION, ida.email).getByRole("button", { name: `Reset password ${ida.email}` }).click();
  const link = await page.locator("code.link").textContent();
  assert.match(link, /\/reset#token=wbp_/);
  const theirs = await world.page();
  await theirs.goto(link);
  await theirs.getByRole("heading", { name: "Choose a new password for Waybill" }).waitFor();
  await theirs.getByLabel("Your new password").fill("other words nobody guesses");
  await theirs.getByRole("button", { name: "Change my password" }).click();
  await theirs.getByRole("navigation", { name: "Pages" }).waitFor();
  await before.getByLabel("Password").waitFor();
  await world.signIn(before, { ...ida, password: "other words nobody guesses" });
  const own = of(page, ORGANIZATION, OWNER.email).getByRole("button", { name: `Reset password ${OWNER.email}` });
  assert.equal(await own.getAttribute("aria-disabled"), "true");
  assert.deepEqual([page.violations, page.faults, theirs.violations, theirs.faults], [[], [], [], []]);
  for (const one of [page, theirs, before]) await one.context().close();
});

test("who may change nobody sees every button disabled with its reason", async () => {
  const page = await world.page();
  await world.signIn(page, VIEWER, "/settings/members");
  const sent = [];
  page.on("request", (request) => ["POST", "PATCH", "DELETE"].includes(request.method()) && sent.push(request.url()));
  await page.getByRole("region", { name: PROJECT }).waitFor();
  // People of the organization and invitations are not for a viewer: either says so.
  await page.getByRole("alert").nth(1).waitFor();
  assert.equal(await page.getByRole("form", { name: "Invite a person" }).count(), 0);
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
