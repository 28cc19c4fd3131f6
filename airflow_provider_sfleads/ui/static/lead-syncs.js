const page = () => globalThis.React.createElement("p", null, "Lead syncs");
globalThis["Lead syncs"] = page;
globalThis.AirflowPlugin = page;
export default page;
