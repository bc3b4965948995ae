// A link that is shown once, to be sent to somebody: its token stands behind the #, which no server is sent.
import { Name } from "./parts";

const linkOf = (page: "accept" | "reset", token: string) => `${window.location.origin}/${page}#token=${token}`;

export function ShownOnce({ page, email, token }: { page: "accept" | "reset"; email: string; token: string }) {
  const link = linkOf(page, token);
  return (
    <div className="card" role="status">
      <p>
        The link for <Name>{email}</Name> is shown this once: send it in a way that only they read.
      </p>
      <p>
        <code className="link">{link}</code>
      </p>
      <button type="button" onClick={() => void navigator.clipboard.writeText(link)}>
        Copy the link
      </button>
    </div>
  );
}
