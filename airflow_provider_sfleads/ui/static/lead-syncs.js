// The "Lead syncs" page of Airflow's UI, and the same as a tab of a Dag, a Dag run and a task instance.
import { useQuery } from "./address.js";
import { Overview } from "./overview.js";
import { Rows } from "./rows.js";

const { createElement: h, useEffect, useMemo, useRef } = globalThis.React;

const NAME = "Lead syncs";

async function style() {
  const href = new URL("./lead-syncs.css", import.meta.url).href;
  if (document.querySelector(`link[href="${CSS.escape(href)}"]`)) return;
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  await new Promise((done) => {
    link.onload = done;
    link.onerror = done;
    document.head.append(link);
  });
}
// Airflow shows that it loads until this module is there: nobody sees the page without its style.
await style();

/** An unmapped task has the index -1; Airflow may give none, or its own placeholder. */
const indexOf = (text) => (/^\d+$/.test(text ?? "") ? Number(text) : -1);

/** The task instance to show, of the tab or of the address; null for the overview. */
function syncOf({ dagId, runId, taskId, mapIndex }, query) {
  if (dagId && runId && taskId) return { dag_id: dagId, run_id: runId, task_id: taskId, map_index: indexOf(mapIndex) };
  const [dag_id, run_id, task_id] = [dagId ?? query.get("dag_id"), runId ?? query.get("run_id"), query.get("task_id")];
  return dag_id && run_id && task_id ? { dag_id, run_id, task_id, map_index: indexOf(query.get("map_index")) } : null;
}

// Not of the component: Airflow may put in another one on "Back".
let shown;

function LeadSyncs(props) {
  const { dagId, runId, taskId } = props;
  const query = useQuery();
  const sync = useMemo(() => syncOf(props, query), [query, dagId, runId, taskId, props.mapIndex]);
  const name = sync && JSON.stringify(sync);
  const page = useRef(null);
  useEffect(() => {
    // Else the focus is lost with the link that was followed, and a screen reader says nothing.
    const lost = shown !== name || document.activeElement === document.body;
    if (shown !== undefined && lost) page.current?.querySelector("h2")?.focus();
    shown = name;
  }, [name]);
  return h(
    "div",
    { className: "lead-syncs", ref: page },
    sync
      ? h(Rows, { key: name, sync, query, alone: Boolean(taskId) })
      : [
          h("h2", { key: "title", tabIndex: -1 }, NAME),
          h(Overview, { key: JSON.stringify([dagId, runId]), query, fixed: { dag_id: dagId, run_id: runId } }),
        ],
  );
}

globalThis[NAME] = LeadSyncs;
globalThis.AirflowPlugin = LeadSyncs;
export default LeadSyncs;
