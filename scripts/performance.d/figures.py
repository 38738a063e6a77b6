"""What `cargo bench --bench load` printed, kept as docs/performance/figures.csv and shown in docs/performance.md.

    figures.py add TABLE FILE   takes the figures of a run, which replace those of the same cases
    figures.py draw             writes the chart and the table of the page
    figures.py check            fails if the chart or the table shows something else than the figures
"""

import csv
import re
import subprocess
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "docs/performance/figures.csv"
CHART = ROOT / "docs/performance/chart.svg"
PAGE = ROOT / "docs/performance.md"

# In the order of the table, and as people read them.
CASES = {
    "bare-es384": "bare server, ES384",
    "bare-es256": "bare server, ES256",
    "put-es384": "PUT, ES384",
    "put-es384-half": "PUT, ES384, at half of that rate",
    "put-es256": "PUT, ES256",
    "update-es384": "PUT that replaces, ES384",
    "put-unsigned": "PUT, unsigned (sandbox)",
    "put-unsigned-ascending": "the same, ids in ascending order",
    "put-unsigned-alone": "PUT, unsigned, one transaction each",
    "get": "GET, ES384",
    "mix": "80% GET, 20% PUT, ES384",
    "list-first": "list, the first page of 20",
    "list-deep": "list, a page of 20 in the middle",
    "one-violation": "PUT with one violation (400)",
    "many-violations": "PUT with 1,000 violations (400)",
    "wrong-signature": "PUT with a wrong signature (401)",
    "get-reconnecting": "GET, a connection for each",
}
CHARTED = ["bare-es384", "put-es384", "update-es384", "get", "mix", "list-first", "bare-es256", "put-es256"]
# What was measured, by the name of its bars, and the columns of the page with their connections.
TABLES = {"sqlite": "SQLite", "postgres": "Postgres", "tls": "SQLite with TLS"}
SHOWN = [("sqlite", "64"), ("postgres", "64"), ("tls", "64"), ("sqlite", "1")]
COLUMNS = ["table", "case", "connections", "rate", "floor_ratio", "cpu_us", "p50_ms", "p99_ms", "p999_ms", "build"]
KEY = COLUMNS[:3]

# A row of the load test: the case, the build in a comparison, and numbers.
ROW = re.compile(r"^([a-z0-9-]+) +(?:new +)?(\d+(?: +[0-9.inf]+){11})$")


def read():
    with DATA.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows):
    order = [list(TABLES).index, list(CASES).index]
    rows.sort(key=lambda row: (order[0](row["table"]), -int(row["connections"]), order[1](row["case"])))
    with DATA.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def measured(table, text, build):
    for line in text.splitlines():
        found = ROW.match(line.rstrip())
        if not found or found[1] not in CASES:
            continue
        connections, rate, _, ratio, p50, p99, p999, _, errors, cpu, _, _ = found[2].split()
        if errors != "0":
            raise SystemExit(f"{found[1]}: {errors} wrong answers")
        # What is unsigned has no floor, and half of a rate is not what the floor allows.
        has_floor = "unsigned" not in found[1] and not found[1].endswith("-half")
        figures = [rate, f"{float(ratio):.2f}" if has_floor else "", f"{float(cpu):.0f}"]
        figures += [f"{float(time):.1f}" for time in (p50, p99, p999)]
        yield dict(zip(COLUMNS, [table, found[1], connections, *figures, build]))


def add(table, file):
    if table not in TABLES:
        raise SystemExit(f"no such table: {table}")
    build = subprocess.run(["git", "describe", "--tags", "--always", "--dirty"], cwd=ROOT, check=True, capture_output=True, text=True)
    rows = {tuple(row[key] for key in KEY): row for row in read()}
    new = list(measured(table, Path(file).read_text(), build.stdout.strip()))
    if not new:
        raise SystemExit(f"{file} has no figures")
    rows.update({tuple(row[key] for key in KEY): row for row in new})
    write(list(rows.values()))


def table(rows):
    """Of each case, what each column did: requests a second, part of the floor, p50 and p99."""
    figures = {tuple(row[key] for key in KEY): row for row in rows}
    builds = ", ".join(sorted({row["build"] for row in rows}))
    heads = [f"{TABLES[name]}, {'one' if connections == '1' else connections}" for name, connections in SHOWN]
    lines = [f"| build {builds} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for case, name in CASES.items():
        found = [figures.get((table, case, connections)) for table, connections in SHOWN]
        if any(found):
            lines.append(f"| {name} |" + "".join(f" {cell(row)} |" if row else " |" for row in found))
    return "\n".join(lines)


def cell(row):
    ratio = f" ({row['floor_ratio']})" if row["floor_ratio"] else ""
    return f"{int(row['rate']):,}{ratio}, {row['p50_ms']} / {row['p99_ms']} ms"


def page(rows, text):
    """The page with its table made anew."""
    made = f"<!-- figures -->\n{table(rows)}\n<!-- end -->"
    return re.sub(r"<!-- figures -->\n.*?<!-- end -->", lambda _: made, text, flags=re.DOTALL)


STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.note, .value { fill: #59636e; font-size: 12px }
.floor { stroke: #59636e; stroke-dasharray: 4 3 }
.sqlite { fill: #0969da } .postgres { fill: #1a7f37 } .tls { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note, .value { fill: #9198a1 } .floor { stroke: #9198a1 }
  .sqlite { fill: #4493f8 } .postgres { fill: #3fb950 } .tls { fill: #f0883e }
}
"""
WIDTH, LEFT, SCALE = 760, 210, 380
BAR, GAP, TOP = 15, 12, 76


def chart(rows):
    figures = {(row["table"], row["case"]): row for row in rows if row["connections"] != "1"}
    parts, y = [], TOP
    for case in CHARTED:
        bars = [(table, figures[table, case]) for table in TABLES if (table, case) in figures]
        middle = y + len(bars) * BAR / 2 + 4
        parts.append(f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(CASES[case])}</text>')
        for table, row in bars:
            width = float(row["floor_ratio"]) * SCALE
            value = f"{row['floor_ratio']}, {int(row['rate']):,}/s"
            parts.append(f'<rect class="{table}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}"/>')
            parts.append(f'<text class="value" x="{LEFT + width + 6:.1f}" y="{y + BAR - 4}">{value}</text>')
            y += BAR
        y += GAP
    x = LEFT + SCALE
    legend, at = [], LEFT
    for table, name in TABLES.items():
        legend.append(f'<rect class="{table}" x="{at}" y="50" width="12" height="12"/><text x="{at + 18}" y="61">{name}</text>')
        at += 40 + 8 * len(name)
    title = "Requests a second, as a part of what the verification of signatures allows"
    floor = f'<line class="floor" x1="{x}" y1="{TOP - 4}" x2="{x}" y2="{y - GAP + 4}"/>'
    note = "1.0: raw verifications a second of the same core in the same run. 64 connections, the server on one core."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 26}" role="img" aria-label="{title}">',
            f"<style>{STYLE}</style>",
            f'<text class="title" x="16" y="26">{title}</text>',
            *legend,
            floor,
            *parts,
            f'<text class="note" x="{x}" y="{TOP - 8}" text-anchor="middle">1.0</text>',
            f'<text class="note" x="16" y="{y + 12}">{note}</text>',
            "</svg>\n",
        ]
    )


def main(arguments):
    match arguments:
        case ["add", table, file]:
            add(table, file)
        case ["draw"]:
            CHART.write_text(chart(read()))
            PAGE.write_text(page(read(), PAGE.read_text()))
        case ["check"]:
            text = PAGE.read_text()
            if page(read(), text) != text or chart(read()) != CHART.read_text():
                raise SystemExit("docs/performance.md or its chart shows other figures: scripts/performance draw")
        case _:
            raise SystemExit(__doc__)


main(sys.argv[1:])
