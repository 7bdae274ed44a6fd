"""The report of a run as one HTML page: plots and tables inside, nothing from the network.

Written from the plain data of `report.py`, so a stored JSON report can be turned into a page too.
"""

from html import escape
from string import Template
from typing import Any, Final

from scripts.traffic import plots
from scripts.traffic.plots import Series

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
EXIT_TEXTS: Final = {
    0: "passed",
    1: "failed",
    97: "stopped",
    99: "no calls",
    255: "fatal",
}
COLOURS: Final = 8  # classes c0 to c7 of the page's style

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<div><h1>$name</h1><p class="sub">$subtitle</p></div>
<div class="verdict $verdict_class">$verdict</div>
</header>
<main>
<section class="cards">$cards</section>
$sections
</main>
<footer>$footer</footer>
</body>
</html>
""")


def html_report(report: dict[str, Any]) -> str:
    """The page."""
    scenario, calls = report["scenario"], report["calls"]
    code = report["exit-code"]
    call = report["timers"].get("call", {})
    cards = [
        _card("calls", f"{calls['created']:,}", f"{calls['passed']:,} passed"),
        _card("failed", f"{calls['failed']:,}", f"{calls['failed-ratio']:.3%}"),
        _card("rate", f"{calls['rate']:.1f}/s", f"{report['elapsed-seconds']:.0f} s"),
        _card("p50", _ms(call.get("p50-ms")), "whole call"),
        _card("p95", _ms(call.get("p95-ms")), "whole call"),
        _card("p99", _ms(call.get("p99-ms")), f"max {_ms(call.get('max-ms'))}"),
        _card("most at once", f"{calls['most-simultaneous']:,}", "calls"),
    ]
    sections = [
        _thresholds(report["thresholds"]),
        _latency(report["periods"]),
        _rate(report["periods"]),
        _failures(report),
        _timers(report["timers"]),
        _distribution(report["distribution"].get("call", [])),
        _about(report),
    ]
    began = f"{report['began-at'].replace('T', ' ')[:19]} UTC"
    return _PAGE.substitute(
        policy=CONTENT_SECURITY_POLICY,
        title=escape(f"{scenario['name']}: {EXIT_TEXTS.get(code, code)}"),
        style=_STYLE,
        name=escape(scenario["name"]),
        subtitle=escape(f"{scenario['title']} · {report['target']} · {began}"),
        verdict=escape(EXIT_TEXTS.get(code, str(code))),
        verdict_class="good" if code == 0 else "bad" if code in (1, 255) else "odd",
        cards="".join(cards),
        sections="".join(sections),
        footer="Latency counts from the moment a call was due (open loop), warm-up excluded.",
    )


def _card(name: str, value: str, below: str) -> str:
    return (
        f'<div class="card"><small>{escape(name)}</small><b>{escape(value)}</b>'
        f"<small>{escape(below)}</small></div>"
    )


def _section(title: str, *inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(inside)}</section>"


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def _thresholds(thresholds: list[dict[str, Any]]) -> str:
    if not thresholds:
        return ""
    rows = [
        [
            escape(one["name"]),
            f"{one['limit']:g}",
            "-" if one["measured"] is None else f"{one['measured']:g}",
            '<span class="good">passed</span>'
            if one["passed"]
            else '<span class="bad">failed</span>',
        ]
        for one in thresholds
    ]
    return _section("Thresholds", _table(["threshold", "limit", "measured", ""], rows))


def _times(periods: list[dict[str, Any]]) -> list[float]:
    return [one["begin"] for one in periods]


def _latency(periods: list[dict[str, Any]]) -> str:
    def values(key: str) -> list[float | None]:
        return [one["timers"].get("call", {}).get(key) for one in periods]

    series = [
        Series("p50", values("p50-ms"), 0),
        Series("p95", values("p95-ms"), 1),
        Series("p99", values("p99-ms"), 2),
    ]
    plot = plots.line_plot(_times(periods), series, "ms")
    return _section("Latency of whole calls", plots.legend(series), plot)


def _rate(periods: list[dict[str, Any]]) -> str:
    # The last period is shorter than the others, and may hold no call at all.
    series = [
        Series("wanted calls/s", [one["wanted-rate"] for one in periods], 3),
        Series("calls/s", [one["rate"] for one in periods], 0),
        Series("calls at the same time", [one["running"] for one in periods], 4),
    ]
    plot = plots.line_plot(_times(periods), series, "")
    return _section("Rate", plots.legend(series), plot)


def _failures(report: dict[str, Any]) -> str:
    counts = {name: count for name, count in report["failures"].items() if count}
    if not counts:
        return _section("Failures", '<p class="good">None.</p>')
    periods = report["periods"]
    series = [
        Series(name, [one["failures"].get(name, 0) for one in periods], at % COLOURS)
        for at, name in enumerate(counts)
    ]
    rows = [
        [
            escape(name),
            f"{count:,}",
            "<br>".join(escape(text) for text in report["examples"].get(name, [])),
        ]
        for name, count in counts.items()
    ]
    plot = plots.stacked_plot(_times(periods), series, "calls")
    table = _table(["reason", "calls", "examples"], rows)
    return _section("Failures", plots.legend(series), plot, table)


def _timers(timers: dict[str, dict[str, Any]]) -> str:
    keys = ["mean-ms", "p50-ms", "p90-ms", "p95-ms", "p99-ms", "max-ms"]
    rows = [
        [escape(name), f"{one['count']:,}", *(f"{one[key]:,.2f}" for key in keys)]
        for name, one in timers.items()
    ]
    head = ["timer (ms)", "count", *(key.removesuffix("-ms") for key in keys)]
    return _section("Response timers", _table(head, rows))


def _distribution(distribution: list[list[float]]) -> str:
    if not distribution:
        return ""
    labels = [_ms(edge) for edge, _ in distribution]
    plot = plots.bar_plot(labels, [count for _, count in distribution], "calls")
    return _section("Distribution of whole calls", '<p class="sub">up to, logarithmic</p>', plot)


def _about(report: dict[str, Any]) -> str:
    scenario, load = report["scenario"], report["load"]
    stages = ", ".join(
        f"{one['seconds']:g} s {'to' if one['ramp'] else 'at'} {one['rate']:g}/s"
        for one in load["stages"]
    )
    mix = ", ".join(f"{name} {weight:g}" for name, weight in scenario["mix"].items())
    rows = [
        ["flow", scenario["flow"]],
        ["mix", mix],
        ["load", stages or f"{load['rate']:g} calls/s"],
        ["ramp, warm-up", f"{load['ramp-seconds']:g} s, {load['warm-up-seconds']:g} s"],
        [
            "limits",
            f"{load['max-simultaneous-calls']:,} at once, {load['call-timeout-ms']:g} ms each",
        ],
        ["resynchronisations", str(report["calls"]["resynchronisations"])],
        ["calls of the warm-up", str(report["calls"]["warm-up"])],
        ["latest start after due", _ms(report["latest-start-ms"])],
    ]
    table = _table(["", ""], [[escape(name), escape(text)] for name, text in rows if text])
    return _section("About this run", table)


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 10_000:
        return f"{value / 1_000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"


_LIGHT: Final = [
    "#2563eb",
    "#d97706",
    "#dc2626",
    "#94a3b8",
    "#059669",
    "#7c3aed",
    "#db2777",
    "#0891b2",
]
_DARK: Final = [
    "#60a5fa",
    "#fbbf24",
    "#f87171",
    "#64748b",
    "#34d399",
    "#a78bfa",
    "#f472b6",
    "#22d3ee",
]


def _palette(colours: list[str]) -> str:
    return "".join(f"--c{at}:{colour};" for at, colour in enumerate(colours))


STYLE_COLOURS: Final = "".join(
    f".l{at}{{stroke:var(--c{at});fill:none;stroke-width:1.8;stroke-linejoin:round;"
    f"stroke-linecap:round}}.f{at}{{fill:var(--c{at})}}.b{at}{{background:var(--c{at})}}"
    for at in range(COLOURS)
)

_STYLE: Final = (
    ":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#16202e;--soft:#5b6778;"
    "--line:#e3e7ed;--good:#047857;--bad:#b91c1c;--odd:#92600a;"
    + _palette(_LIGHT)
    + "}@media(prefers-color-scheme:dark){:root{--bg:#0e131b;--card:#171e29;--ink:#e6ebf2;"
    "--soft:#93a0b4;--line:#263041;--good:#34d399;--bad:#f87171;--odd:#fbbf24;"
    + _palette(_DARK)
    + "}}*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    "header,main,footer{max-width:960px;margin:0 auto;padding:0 20px}"
    "header{display:flex;justify-content:space-between;align-items:center;gap:16px;"
    "padding-top:28px;padding-bottom:8px}h1{font-size:22px;margin:0;letter-spacing:-.01em}"
    "h2{font-size:15px;margin:0 0 10px}.sub,small,footer{color:var(--soft);margin:0}"
    "section{background:var(--card);border:1px solid var(--line);border-radius:12px;"
    "padding:16px 18px;margin:14px 0}.cards{display:grid;"
    "grid-template-columns:repeat(auto-fit,minmax(112px,1fr));gap:4px 14px}"
    ".card{display:flex;flex-direction:column}.card b{font-size:21px;font-weight:650;"
    "font-variant-numeric:tabular-nums;line-height:1.25}small{font-size:12px}"
    ".verdict{font-weight:650;padding:6px 14px;border-radius:99px;border:1.5px solid}"
    ".good{color:var(--good)}.bad{color:var(--bad)}.odd{color:var(--odd)}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th{color:var(--soft);font-weight:500;font-size:12px}th,td{text-align:right;padding:5px 8px;"
    "border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}"
    "th:first-child,td:first-child{text-align:left}.scroll{overflow-x:auto}"
    "section:last-child td{text-align:left}svg{width:100%;height:auto;display:block}"
    ".g{stroke:var(--line)}.t{fill:var(--soft);font-size:11px}.h{fill:transparent}"
    ".h:hover{fill:var(--soft);opacity:.12}.legend{display:flex;flex-wrap:wrap;gap:4px 16px;"
    "font-size:12.5px;color:var(--soft);margin-bottom:6px}.legend i{display:inline-block;"
    "width:10px;height:10px;border-radius:3px;margin-right:6px}footer{padding:6px 20px 30px;"
    "font-size:12.5px}" + STYLE_COLOURS
)
