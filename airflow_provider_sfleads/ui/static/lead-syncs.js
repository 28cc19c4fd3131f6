// The "Lead syncs" page: a React component that Airflow's UI loads, alone or as a tab.
import { Overview } from "./overview.js";
import { useQuery } from "./query.js";
import { h } from "./react.js";
import { Rows } from "./rows.js";

const STYLE = new URL("./lead-syncs.css", import.meta.url).href;

function wearStyle() {
  if (document.querySelector(`link[href="${STYLE}"]`)) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = STYLE;
  document.head.append(link);
}

const number = (text) => (/^\d+$/.test(text ?? "") ? Number(text) : -1);

function LeadSyncs({ dagId, runId, taskId, mapIndex }) {
  const [query, change] = useQuery();
  const fixed = { dag_id: dagId, run_id: runId };
  const own = taskId && { ...fixed, task_id: taskId, map_index: number(String(mapIndex ?? "")) };
  const asked = query.task_id && {
    dag_id: dagId ?? query.dag_id,
    run_id: runId ?? query.run_id,
    task_id: query.task_id,
    map_index: number(query.map_index),
  };
  const task = own ?? (asked?.dag_id && asked.run_id ? asked : null);
  const leave = () => change({ dag_id: "", run_id: "", task_id: "", map_index: "", execution: "", action: "", code: "", search: "", page: "" }, true);
  const open = (sync, more) => {
    const { dag_id, run_id, task_id, map_index, execution } = sync;
    change({ dag_id, run_id, task_id, map_index: map_index >= 0 ? map_index : "", execution, code: "", search: "", page: "", ...more }, true);
  };
  return h(
    "div",
    { className: "lead-syncs" },
    task ? h(Rows, { task, query, change, onLeave: own ? null : leave }) : h(Overview, { fixed, query, change, onOpen: open }),
  );
}

wearStyle();
// Airflow takes the component from here; its name is the one in the plugin.
globalThis["Lead syncs"] = LeadSyncs;
globalThis.AirflowPlugin = LeadSyncs;
export default LeadSyncs;
