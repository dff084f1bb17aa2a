#!/usr/bin/env python3
"""Draws how many times as fast as its peers the program was: docs/performance.svg.

    python3 tests/peers/ratios.py --title "what" FILE.json [--title "other" OTHER.json ...] > docs/performance.svg

Each FILE is what `attacks.py --json` or `step.py --json` wrote. A bar a row: the median of the rounds, with a line
from the lowest to the highest; the upright line is the peer.
"""

import argparse
import json
import statistics
import sys
from html import escape
from pathlib import Path

WIDTH, LEFT, RIGHT, ROW, HEAD = 800, 290, 120, 22, 34


def place(ratio, most):
    """Where a ratio lies: from 0 to `most`."""
    return LEFT + (WIDTH - LEFT - RIGHT) * min(ratio, most) / most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--title", action="append", required=True)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--most", type=float, default=4.0, help="where the axis ends; longer bars are cut and say so")
    options = parser.parse_args()
    if len(options.title) != len(options.files):
        sys.exit(f"{len(options.title)} titles for {len(options.files)} files: give each file one")
    groups = [(title, json.loads(file.read_text())) for title, file in zip(options.title, options.files)]
    parts, y = [], 10
    for title, rows in groups:
        parts.append(f'<text x="8" y="{y + 16}" font-weight="bold">{escape(title)}</text>')
        y += HEAD - 8
        for name, ratios in rows.items():
            middle = statistics.median(ratios)
            end, low, high = (place(value, options.most) for value in (middle, min(ratios), max(ratios)))
            colour = "#2a6f97" if middle >= 1 else "#b5651d"
            mid = y + ROW / 2
            parts.append(f'<text x="{LEFT - 8}" y="{mid + 4}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{LEFT}" y="{y + 4}" width="{end - LEFT:.1f}" height="{ROW - 8}" fill="{colour}"/>')
            parts.append(f'<path d="M{low:.1f} {mid}H{high:.1f}" stroke="#111" stroke-width="1.5"/>')
            more = " (longer)" if middle > options.most else ""
            parts.append(f'<text x="{max(end, high) + 6:.1f}" y="{mid + 4}">{middle:.2f}{more}</text>')
            y += ROW
        y += 8
    peer = place(1.0, options.most)
    parts.append(f'<path d="M{peer:.1f} 8V{y}" stroke="#111" stroke-dasharray="3 3"/>')
    parts.append(f'<text x="{peer:.1f}" y="{y + 14}" text-anchor="middle">as fast as the peer</text>')
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 24}" font-family="sans-serif" '
          f'font-size="13"><rect width="100%" height="100%" fill="#fff"/>')
    print("\n".join(parts) + "\n</svg>")


if __name__ == "__main__":
    main()
