// Asking our own routes.
const { useCallback, useEffect, useState } = globalThis.React;

const KEPT = 30;
// So that "Back" shows at once what was there, while it is asked for anew.
const kept = new Map();

function keep(key, data) {
  kept.delete(key);
  kept.set(key, data);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/** A reply that is no answer; `status` is 0 where there was none. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function detailOf(reply) {
  try {
    const { detail } = await reply.json();
    return typeof detail === "string" && detail ? detail : null;
  } catch {
    return null;
  }
}

async function refusal(reply) {
  const detail = await detailOf(reply);
  // By the second Airflow's API refuses a token once that was revoked, made with another secret, or whose user is gone.
  if (reply.status === 401 || (reply.status === 403 && detail === "Invalid JWT token")) {
    return new Refused(401, "Your session is over. Sign in again, and you come back to this page.");
  }
  if (reply.status === 403) {
    return new Refused(
      403,
      "You may not read this. Ask whoever runs Airflow for a role that may read the Dag, its runs, its task instances and its XComs.",
    );
  }
  return new Refused(reply.status, detail ?? `The API server answered ${reply.status} ${reply.statusText}`.trim());
}

async function ask(url, signal, headers) {
  let reply;
  try {
    reply = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json", ...headers }, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refused(0, "The API server does not answer.");
  }
  if (!reply.ok) throw await refusal(reply);
  try {
    return await reply.json();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refused(0, "The API server's answer is no JSON: is the provider's plugin loaded there?");
  }
}

/**
 * The JSON at an address (null: nothing is asked).
 *
 * What is searched for goes in a header: it may be somebody's address, and servers log what is asked of them.
 * While an address is asked for, `data` is what was there before, and `loading` is true.
 */
export function useJson(url, search = "") {
  const [state, setState] = useState({ url: null, data: undefined, error: null, loading: true, at: null });
  const [turn, setTurn] = useState(0);
  const key = JSON.stringify([url, search]);
  useEffect(() => {
    if (url === null) return undefined;
    const control = new AbortController();
    setState((old) => ({ ...old, url, data: kept.get(key) ?? old.data, error: null, loading: true }));
    const headers = search ? { "X-Lead-Syncs-Search": encodeURIComponent(search) } : {};
    ask(url, control.signal, headers).then(
      (data) => {
        if (control.signal.aborted) return;
        keep(key, data);
        setState({ url, data, error: null, loading: false, at: Date.now() });
      },
      (error) => {
        if (control.signal.aborted) return;
        setState({ url, data: undefined, error, loading: false, at: Date.now() });
      },
    );
    return () => control.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((old) => old + 1), []);
  return { ...state, reload };
}
