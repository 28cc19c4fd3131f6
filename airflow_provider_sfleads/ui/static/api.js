// What the page asks of the plugin's routes, and where Airflow's own pages are.
const root = () => document.baseURI;
const API = () => new URL("sfleads/api/", root());
const part = encodeURIComponent;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(url) {
  let reply;
  try {
    reply = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" } });
  } catch {
    throw new Refused(0, "Airflow's API server does not answer. Reload the page when it is back.");
  }
  const body = await reply.json().catch(() => ({}));
  if (reply.ok) return body;
  if (reply.status === 401) throw new Refused(401, "Your session is over. Reload the page to log in again.");
  if (reply.status === 403) throw new Refused(403, "You may not read this. The rows of a sync are for those who may read the XComs of its Dag.");
  const detail = typeof body.detail === "string" ? body.detail : `The API server answers ${reply.status}.`;
  throw new Refused(reply.status, detail);
}

function withQuery(url, parameters) {
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

const task = ({ dag_id, run_id, task_id }) => `dags/${part(dag_id)}/runs/${part(run_id)}/tasks/${part(task_id)}`;

export const getSyncs = (parameters) => ask(withQuery(new URL("syncs", API()), parameters));

export const getRows = (of, parameters) =>
  ask(withQuery(new URL(`${task(of)}/rows`, API()), { map_index: of.map_index, ...parameters }));

export const rejectsUrl = (of, execution, target) =>
  withQuery(new URL(`${task(of)}/rejects.csv`, API()), { map_index: of.map_index, execution, for: target }).href;

export const runUrl = ({ dag_id, run_id }) => new URL(`dags/${part(dag_id)}/runs/${part(run_id)}`, root()).href;

export function taskUrl({ dag_id, run_id, task_id, map_index }) {
  const mapped = map_index >= 0 ? `/mapped/${map_index}` : "";
  return `${runUrl({ dag_id, run_id })}/tasks/${part(task_id)}${mapped}`;
}
