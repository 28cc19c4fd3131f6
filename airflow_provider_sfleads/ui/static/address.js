// What the page shows is said by its address alone: it can be bookmarked, and "Back" works.
const { useMemo, useSyncExternalStore } = globalThis.React;

const CHANGED = "lead-syncs:address";

/** The parameters that name one sync, and those of its rows; without them the page is the overview. */
const OF_SYNC = ["dag_id", "run_id", "task_id", "map_index"];
const OF_ROWS = ["execution", "action", "code", "offset"];
export const NO_SYNC = Object.fromEntries([...OF_SYNC, ...OF_ROWS].map((name) => [name, null]));

function subscribe(tell) {
  // Airflow's router changes the address without a word to us; browsers with a navigation API tell.
  const sources = [
    [globalThis, "popstate"],
    [globalThis, CHANGED],
    ...(globalThis.navigation ? [[globalThis.navigation, "currententrychange"]] : []),
  ];
  for (const [source, event] of sources) source.addEventListener(event, tell);
  return () => {
    for (const [source, event] of sources) source.removeEventListener(event, tell);
  };
}

/** The parameters of the address, again whenever they change. */
export function useQuery() {
  const search = useSyncExternalStore(subscribe, () => globalThis.location.search);
  return useMemo(() => new URLSearchParams(search), [search]);
}

/** This page's address with some parameters changed (null or "": left out), all others kept. */
export function addressWith(changes) {
  const url = new URL(globalThis.location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, String(value));
  }
  return url.pathname + url.search;
}

/** Change parameters where the page is: no step of "Back". */
export function change(changes) {
  globalThis.history.replaceState(globalThis.history.state, "", addressWith(changes));
  globalThis.dispatchEvent(new Event(CHANGED));
}

/** Change parameters as a step that "Back" undoes. */
export function go(changes) {
  globalThis.history.pushState(null, "", addressWith(changes));
  globalThis.dispatchEvent(new Event(CHANGED));
}

/** The changes that open the rows of one sync. */
export const toRows = (sync, action) => ({
  ...NO_SYNC,
  dag_id: sync.dag_id,
  run_id: sync.run_id,
  task_id: sync.task_id,
  map_index: sync.map_index >= 0 ? sync.map_index : null,
  execution: sync.opens,
  action,
});

const path = (...parts) => parts.map(encodeURIComponent).join("/");
// Airflow may itself be served below some path, which its <base> says.
const absolute = (relative) => new URL(relative, document.baseURI).href;

/** Airflow's own page of a Dag run. */
export const runPage = ({ dag_id, run_id }) => absolute(path("dags", dag_id, "runs", run_id));

/** Airflow's own page of a task instance. */
export const taskPage = ({ dag_id, run_id, task_id, map_index }) =>
  absolute(
    path("dags", dag_id, "runs", run_id, "tasks", task_id) +
      (map_index >= 0 ? `/mapped/${encodeURIComponent(map_index)}` : ""),
  );

/** Airflow's own page to sign in, whatever its auth manager has for one, and then this page again. */
export const loginPage = () => {
  const { pathname, search, hash } = globalThis.location;
  return absolute(`api/v2/auth/login?next=${encodeURIComponent(pathname + search + hash)}`);
};

/** An address of our own routes; parameters without a value are left out. */
export function routeTo(parts, parameters) {
  const url = new URL(absolute(`sfleads/api/${path(...parts)}`));
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url.href;
}

export const partsOf = (sync, last) => ["dags", sync.dag_id, "runs", sync.run_id, "tasks", sync.task_id, last];
