"""How the pages look, in light and in dark."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --bg: #f4f6f9; --card: #fff; --ink: #16202e; --soft: #5b6b80; --line: #dfe5ec;
  --accent: #0b5cab; --head: #f9fafc; --hover: #f1f6fc; --chip: #e8eef6; --bar: #0b2d52; --good: #1d6b3a;
  --good-bg: #dff3e5; --warn: #8a4b08; --warn-bg: #fdeed9; --bad: #a1221b; --bad-bg: #fbe3e1; }
@media (prefers-color-scheme: dark) { :root { --bg: #11161d; --card: #19212b; --ink: #e4eaf2; --soft: #95a4b8;
  --line: #2a3542; --accent: #77b7ff; --head: #1e2733; --hover: #202b38; --chip: #273444; --bar: #0c1a2a;
  --good: #8fdcab; --good-bg: #163524; --warn: #f3bd7c; --warn-bg: #3b2a14; --bad: #ff9d96; --bad-bg: #41201e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
header { background: var(--bar); color: #fff; }
header div { max-width: 1400px; margin: 0 auto; padding: 14px 28px; display: flex; gap: 14px; align-items: baseline; }
header a { color: #fff; font-weight: 650; font-size: 16px; } header span { color: #b7c9dd; }
header nav { margin-left: auto; display: flex; gap: 18px; } header nav a { font-size: 14px; font-weight: 500; }
main { max-width: 1400px; margin: 0 auto; padding: 22px 28px 48px; }
h1 { font-size: 22px; margin: 0; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 15px; margin: 0; padding: 13px 16px; border-bottom: 1px solid var(--line); font-weight: 650; }
.bar { display: flex; flex-wrap: wrap; gap: 10px; align-items: center; margin: 0 0 16px; }
.bar form { margin-left: auto; display: flex; gap: 8px; }
input, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: 7px; padding: 7px 11px; }
input { width: 290px; max-width: 60vw; } button { cursor: pointer; font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden;
  margin-bottom: 18px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--soft); background: var(--head); white-space: nowrap;
  font-size: 12.5px; }
th, td { padding: 8px 16px; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td, tr:last-child th { border-bottom: 0; } tbody tr:hover td { background: var(--hover); }
td { overflow-wrap: break-word; } td.pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.list td { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 180px; }
.list th, .list td { padding: 8px 10px; } .list td.id { max-width: 130px; } td.by { white-space: nowrap; }
td.num { text-align: right; font-variant-numeric: tabular-nums; } th.num { text-align: right; }
td.time, td.id { white-space: nowrap; font-variant-numeric: tabular-nums; color: var(--soft); }
.chip { display: inline-block; padding: 2px 9px; border-radius: 99px; background: var(--chip); color: var(--ink);
  font-size: 12.5px; white-space: nowrap; }
a.chip { padding: 5px 12px; } a.chip b { font-weight: 650; }
a.chip.on { background: var(--accent); color: var(--card); }
.good { background: var(--good-bg); color: var(--good); } .warn { background: var(--warn-bg); color: var(--warn); }
.bad { background: var(--bad-bg); color: var(--bad); }
.none { color: var(--soft); } .empty { padding: 44px; text-align: center; color: var(--soft); }
.pages { display: flex; gap: 14px; align-items: center; color: var(--soft); padding: 11px 16px;
  border-top: 1px solid var(--line); }
.pages .next { margin-left: auto; display: flex; gap: 14px; }
progress { width: 120px; accent-color: var(--accent); } .jobs td { max-width: 320px; }
.two { display: grid; gap: 18px; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); align-items: start; }
@media (max-width: 980px) { .two { grid-template-columns: minmax(0, 1fr); } main { padding: 16px; }
  header div { padding: 12px 16px; } .bar form { margin-left: 0; width: 100%; } input { flex: 1; } }
.facts th { width: 200px; background: none; font-weight: 500; font-size: 13px; } .facts small { color: var(--soft); }
.old { color: var(--soft); text-decoration: line-through; }
details summary { cursor: pointer; padding: 11px 16px; color: var(--soft); border-top: 1px solid var(--line); }
"""
