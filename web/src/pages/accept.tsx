// Pages of a link that somebody was sent: make one's own account by an invitation, or choose a new password. The token comes behind the
// # of the address, which no server is sent, and is taken out of the address at once.
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { api, good } from "../api/client";
import { begin } from "../api/session";
import { Heading } from "../ui/heading";
import { Trouble } from "../ui/parts";

const inAddress = () => new URLSearchParams(window.location.hash.slice(1)).get("token") ?? "";

type Body = { token: string; password: string };

const KINDS = {
  accept: {
    title: "Accept an invitation to Waybill",
    token: "Token of the invitation",
    password: "Your password",
    press: "Make my account",
    busy: "Making your account…",
    foot: "You sign in with the e-mail address that was invited.",
    send: (body: Body) => good(api.POST("/v1/invitations:accept", { body })),
  },
  reset: {
    title: "Choose a new password for Waybill",
    token: "Token of the link",
    password: "Your new password",
    press: "Change my password",
    busy: "Changing your password…",
    foot: "Every session that you had before ends.",
    send: (body: Body) => good(api.POST("/v1/password-resets:use", { body })),
  },
} as const;

export const isLink = (pathname: string): pathname is "/accept" | "/reset" => pathname === "/accept" || pathname === "/reset";

export function OfLink({ pathname }: { pathname: "/accept" | "/reset" }) {
  const kind = KINDS[pathname === "/accept" ? "accept" : "reset"];
  const [token] = useState(inAddress);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const navigate = useNavigate();

  useEffect(() => {
    if (window.location.hash !== "") window.history.replaceState(window.history.state, "", window.location.pathname);
  }, []);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = { token: String(form.get("token")).trim(), password: String(form.get("password")) };
    setBusy(true);
    setError(null);
    try {
      const tokens = await kind.send(body);
      await navigate({ to: "/pipelines", replace: true });
      await begin(tokens);
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  }

  return (
    <main className="signin">
      <Heading title={kind.title} />
      <form onSubmit={submit} aria-busy={busy}>
        <label htmlFor="token">{kind.token}</label>
        <input id="token" name="token" type="text" autoComplete="off" spellCheck={false} required defaultValue={token} />
        <label htmlFor="password">{kind.password}</label>
        <input id="password" name="password" type="password" autoComplete="new-password" required minLength={12} maxLength={128} aria-describedby="rules" />
        <p id="rules" className="quiet">
          12 to 128 characters of any kind; words that you remember are good.
        </p>
        {error === null ? null : <Trouble error={error} />}
        <button type="submit" className="primary" disabled={busy}>
          {busy ? kind.busy : kind.press}
        </button>
      </form>
      <p className="quiet">{kind.foot}</p>
    </main>
  );
}

/** A link is for who is not signed in. */
export function SignedIn() {
  return (
    <>
      <Heading title="You are signed in already" />
      <p>
        This link is for somebody who is not: sign out first, and open it again. <Link to="/pipelines">Go to the pipelines</Link>
      </p>
    </>
  );
}
