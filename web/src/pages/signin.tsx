// Sign in with a password. Whatever is wrong, the server says the same; how long to wait is shown as it passes.
import { type FormEvent, useEffect, useState } from "react";
import { api, good, Refused } from "../api/client";
import { begin } from "../api/session";
import { Heading } from "../ui/heading";
import { Trouble } from "../ui/parts";

export function SignIn() {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [wait, setWait] = useState(0);

  useEffect(() => {
    if (wait <= 0) return;
    const timer = setTimeout(() => setWait(wait - 1), 1000);
    return () => clearTimeout(timer);
  }, [wait]);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = { email: String(form.get("email")), password: String(form.get("password")) };
    setBusy(true);
    setError(null);
    try {
      await begin(await good(api.POST("/v1/login", { body })));
    } catch (refused) {
      setError(refused);
      if (refused instanceof Refused && refused.after !== null) setWait(refused.after);
    } finally {
      setBusy(false);
    }
  }

  return (
    <main className="signin">
      <Heading title="Sign in to Waybill" />
      <form onSubmit={submit} aria-busy={busy}>
        <label htmlFor="email">E-mail address</label>
        <input id="email" name="email" type="email" autoComplete="username" required />
        <label htmlFor="password">Password</label>
        <input id="password" name="password" type="password" autoComplete="current-password" required maxLength={128} />
        {error === null ? null : <Trouble error={error} />}
        {wait > 0 ? (
          <p role="timer" className="why">
            Too many tries: the next one counts in {wait} s.
          </p>
        ) : null}
        <button type="submit" className="primary" disabled={busy || wait > 0}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
      <p className="quiet">
        The first account of a new orchestrator is made on the command line: <code>waybill login</code>.
      </p>
    </main>
  );
}
