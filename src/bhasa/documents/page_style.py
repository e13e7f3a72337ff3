"""How `data.html` looks, on wide screens and narrow ones, by day and by night."""

COLOURS = ("#2f6db5", "#c9812b", "#d9b44a", "#8467b8", "#8b939c", "#b8443f", "#4f9d7a")

STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --soft: #676d75; --line: #d9dce0; --box: #f5f6f7; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: #fff; color: var(--text); }
body { font: 16px/1.5 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e6e9; --soft: #9aa1aa; --line: #3a3f46; --box: #1f2226; }
  body { background: #16181b; }
}
h1, h2, h3 { line-height: 1.2; margin: 2rem 0 .5rem; }
h1 { margin-top: .5rem; }
h3 { font-size: 1rem; }
p { margin: .5rem 0; }
p, h2 { overflow-wrap: anywhere; }
.soft, th { color: var(--soft); font-weight: normal; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem 1rem .15rem 0; border-bottom: 1px solid var(--line); }
td { vertical-align: top; }
.n { text-align: right; white-space: nowrap; }
pre { background: var(--box); padding: .5rem .75rem; margin: .25rem 0 1rem; overflow: auto; }
pre { max-height: 16rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; }
svg { width: 100%; height: auto; display: block; margin: .5rem 0; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
""" + "".join(f".kind-{n} {{ fill: {colour}; background: {colour}; }}\n" for n, colour in enumerate(COLOURS))
