// The page's state is in its address: what is chosen can be sent to a colleague, and Back goes back.
import { useCallback, useEffect, useState } from "./react.js";

const current = () => Object.fromEntries(new URLSearchParams(location.search));

export function useQuery() {
  const [query, show] = useState(current);
  useEffect(() => {
    const follow = () => show(current());
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  const change = useCallback((changes, isStep = false) => {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined || value === null || value === "") url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    // Airflow's router keeps its own notes in the state.
    history[isStep ? "pushState" : "replaceState"](history.state, "", url);
    show(current());
  }, []);
  return [query, change];
}

// The answer of the last question; those that come late are dropped.
export function useAnswer(question, key) {
  const [state, set] = useState({ loading: true });
  useEffect(() => {
    let isCurrent = true;
    set((before) => ({ ...before, loading: true, error: undefined }));
    question().then(
      (answer) => isCurrent && set({ answer, loading: false }),
      (error) => isCurrent && set({ error, loading: false }),
    );
    return () => {
      isCurrent = false;
    };
  }, [key]);
  return state;
}
