// Airflow's UI has loaded React already; two of them would not get on with each other.
const React = globalThis.React;
export const h = React.createElement;
export const { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } = React;
