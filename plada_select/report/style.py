"""The report's style sheet: light and dark, from 320 pixels up, and for print."""

STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f8;--card:#fff;--fg:#1b2127;--soft:#4f5b67;--line:#d5dade;--rule:#e8ebee;
--accent:#0a62b8;--accent-fg:#fff;--pool:#a9b4bf;--kept:#0a62b8;--warn:#a8410c;--warn-fg:#fff;--good:#1c6b35;
--mark:#56626e;--mark-fg:#fff;--tint:#eef4fb}
@media(prefers-color-scheme:dark){:root{--bg:#12161a;--card:#1a2026;--fg:#e7ebef;--soft:#a4afba;--line:#39424b;
--rule:#2a323a;--accent:#66b2ff;--accent-fg:#0b1a2a;--pool:#5d6a77;--kept:#66b2ff;--warn:#ff9c66;--warn-fg:#2b1104;
--good:#7ed69a;--mark:#8b98a5;--mark-fg:#12161a;--tint:#1c2a38}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Liberation Sans",sans-serif}
a{color:var(--accent)}
a:focus-visible,.scroll:focus-visible,summary:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
h1{font-size:1.65rem;line-height:1.2;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:0 0 .5rem}
h3{font-size:1rem;margin:1rem 0 .35rem}
h2,h3,li,p,tbody th{overflow-wrap:anywhere}
p{margin:.4rem 0 .8rem;max-width:46rem}
.lead,.soft{color:var(--soft)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;margin:1rem 0;padding:0}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:1rem;margin:0 0 1rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.75rem;margin:1rem 0}
.cards div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem .8rem}
.cards .own{border-left:5px solid var(--accent)}
.cards b{display:block;font-size:1.45rem;line-height:1.25;font-variant-numeric:tabular-nums}
.cards small{color:var(--soft);display:block;font-size:.85rem;line-height:1.35}
ul.verdict{list-style:none;padding:0;margin:.25rem 0 0}
ul.verdict li{padding:.3rem 0 .3rem 1.9rem;position:relative;max-width:52rem}
ul.verdict li::before{position:absolute;left:0;width:1.35rem;text-align:center;font-weight:700;border-radius:4px}
ul.verdict .good::before{content:"+";color:var(--good)}
ul.verdict .bad::before{content:"!";color:var(--warn-fg);background:var(--warn)}
ul.verdict .say::before{content:"·";color:var(--soft)}
.scroll{overflow-x:auto;margin:.5rem 0;max-width:100%}
.tall{max-height:34rem;overflow-y:auto}
.tall .scroll{overflow-x:visible}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;color:var(--soft);font-size:.85rem;padding:0 0 .35rem;caption-side:top}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--rule)}
tbody th{font-weight:600;min-width:6.5rem}
thead th{font-weight:600;vertical-align:bottom}
thead th,thead td{border-bottom:2px solid var(--line)}
.tall thead th{position:sticky;top:0;background:var(--card)}
td.num,th.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead th.num{white-space:normal}
tr.own{background:var(--tint)}
th code{font-weight:400}td small,th small{color:var(--soft);display:block;font-weight:400;line-height:1.35}
th:has(.named){width:42%}
.named{display:flex;flex-wrap:wrap;gap:0 1rem;align-items:center;min-width:6.5rem}.named>span{flex:0 0 8.5rem}
.named>div{flex:1 1 8rem;max-width:24rem}
.bar{display:block;height:.55rem;border-radius:2px;background:var(--kept);margin:.18rem 0;min-width:1px}
.bar.b{background:var(--pool)}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;background:var(--kept);vertical-align:-.05rem}
.key.b{background:var(--pool)}
.badge{display:inline-block;min-width:1.4rem;text-align:center;border-radius:1rem;padding:0 .3rem;font-size:.8rem;
font-weight:700;background:var(--mark);color:var(--mark-fg)}
.badge.own{background:var(--accent);color:var(--accent-fg)}
.badge.fits{background:var(--card);color:var(--fg);box-shadow:inset 0 0 0 2px var(--mark)}
.stack{display:flex;height:1.6rem;border-radius:5px;overflow:hidden;margin:.5rem 0;border:1px solid var(--line)}
.stack span{display:block;min-width:2px}
.s0{background:#0a62b8}.s1{background:#c05f10}.s2{background:#3b7d4f}.s3{background:#7b58a8}.s4{background:#a23b5c}
.s5{background:#6d7782}.s6{background:#927a1a}
.key.s0{background:#0a62b8}.key.s1{background:#c05f10}.key.s2{background:#3b7d4f}.key.s3{background:#7b58a8}
.key.s4{background:#a23b5c}.key.s5{background:#6d7782}.key.s6{background:#927a1a}
svg.chart{display:block;max-width:100%;height:auto}
svg.narrow{display:none}
svg text{fill:var(--fg);font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
svg text.strong{font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:4px}
svg .grid{stroke:var(--rule)}svg .axis{stroke:var(--soft)}
svg .pool{fill:var(--pool)}svg .kept{fill:var(--kept)}
svg .cut{stroke:var(--warn);stroke-width:1.5;stroke-dasharray:5 3}
svg .cut.other{stroke:var(--soft)}svg .band{fill:var(--warn);opacity:.12}
svg .level{stroke:var(--good);stroke-dasharray:2 3;stroke-width:1.5}
svg .curve{fill:none;stroke:var(--mark);stroke-width:1.2;opacity:.75}
svg .spread{stroke:var(--mark);stroke-width:1.5}svg .thread{stroke:var(--mark)}svg .dot{fill:var(--mark)}
svg .mark circle{fill:var(--mark)}svg .mark text{fill:var(--mark-fg);font-weight:700;font-size:11px}
svg .mark.own circle{fill:var(--accent)}svg .mark.own text{fill:var(--accent-fg)}
svg .mark.fits circle{fill:var(--card);stroke:var(--mark);stroke-width:2}svg .mark.fits text{fill:var(--fg)}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:.4rem 1.4rem}
.sheet>div{min-width:0}.sheet h3{margin:.5rem 0 .1rem}
.sheet figure{margin:0 0 .4rem}
figcaption{color:var(--soft);font-size:.82rem}
.thumbs{display:flex;flex-wrap:wrap;gap:4px}
.thumbs img,.thumbs .nothing{width:48px;height:48px;object-fit:cover;border-radius:3px;background:var(--rule)}
.nothing{display:inline-flex;align-items:center;justify-content:center;color:var(--soft)}
.duo{display:flex;flex-wrap:wrap;gap:.8rem}
.duo figure{margin:0}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:.45rem 1.5rem;margin:.5rem 0}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0;overflow-wrap:anywhere}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.9em}
footer{color:var(--soft);font-size:.85rem;padding-bottom:2rem}
@media(max-width:640px){svg.narrow{display:block}svg.wide{display:none}h1{font-size:1.35rem}
header,main,footer{padding-left:.6rem;padding-right:.6rem}section{padding:.75rem .7rem}
.cards{grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.5rem}.cards b{font-size:1.25rem}
th,td{padding:.3rem .35rem}
.named>span{flex-basis:100%}.named>div{flex-basis:100%}}
@media(max-width:760px){.stacked,.stacked tbody,.stacked tr,.stacked th,.stacked td,.stacked caption{display:block}
.stacked thead{position:absolute;left:-9999px}.stacked tr{border-bottom:2px solid var(--line);padding:.4rem 0}
.stacked tbody th{border:0}.stacked td,.stacked td.num{display:grid;grid-template-columns:minmax(7rem,45%) 1fr;
gap:0 .75rem;border:0;padding:.12rem .35rem;text-align:left;white-space:normal}
.stacked td::before{content:attr(data-label);color:var(--soft)}.stacked td:empty{display:none}
.stacked td small{grid-column:2}}
@media print{body{background:#fff}section{break-inside:avoid}.tall{max-height:none}nav{display:none}}
"""
