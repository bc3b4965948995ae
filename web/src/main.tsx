// Begins the console: the look, the session that other tabs may have, the share in the event stream, then the pages.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Refused } from "./api/client";
import { askOthers, signedIn, watchSession } from "./api/session";
import { takePart } from "./live/stream";
import { router } from "./router";
import "./app.css";
import { themeNow, wear } from "./ui/theme";

wear(themeNow());

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // A refusal stays one; a server that was not reached is asked again.
      retry: (tries, error) => !(error instanceof Refused) && tries < 2,
      retryDelay: 1_000,
      networkMode: "always",
      staleTime: 1_000,
    },
    mutations: { networkMode: "always" },
  },
});

// What one person was shown stays with that person.
watchSession(() => {
  if (!signedIn()) queries.clear();
});

if (!signedIn()) await askOthers();
takePart();

const place = document.getElementById("root");
if (place === null) throw new Error("the page has no place for the console");
createRoot(place).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
