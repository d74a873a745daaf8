# SPDX-License-Identifier: GPL-2.0-only
"""Pictures of results, drawn by gnuplot as SVG."""

import os
import shutil
import subprocess

from .system import BenchError

HEAD = """\
set terminal svg size {width},{height} dynamic enhanced font "sans-serif,13" background "white"
set title "{title}" noenhanced
set ylabel "{ylabel}" noenhanced
set key outside right top Left reverse noenhanced
set grid ytics lc rgb "#cccccc"
set border 3
set xtics nomirror noenhanced
set ytics nomirror
"""

COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#e09f3e", "#6a4c93", "#555555", "#00a6a6", "#8d5524")


def available():
    return shutil.which("gnuplot") is not None


def lines(path, title, ylabel, labels, series):
    """Curves over labels, which are equally far apart. series: list of (name, points), points:
    dict from label to (value, low, high). A line is drawn at 1, where two things are equal."""
    blocks, plots = [], ["1 with lines lc rgb '#888888' dt 2 notitle"]
    for index, (name, points) in enumerate(series):
        # A little apart from each other, so that the bars of the extremes can be told.
        shift = (index - (len(series) - 1) / 2) * 0.02
        rows = [
            f"{labels.index(label) + shift:g} {value:g} {low:g} {high:g}"
            for label, (value, low, high) in sorted(
                points.items(), key=lambda item: labels.index(item[0]))
        ]
        blocks.append(_block(index, rows))
        style = f"lc rgb '{COLOURS[index % len(COLOURS)]}' pt {5 + index % 8}"
        plots.append(
            f"$d{index} using 1:2:3:4 with yerrorlines lw 2 ps 0.7 {style} title '{name}'")
    tics = ", ".join(f"'{label}' {index}" for index, label in enumerate(labels))
    settings = f"set xtics ({tics})\nset xrange [-0.3:{len(labels) - 0.7:g}]\n"
    _draw(path, title, ylabel, settings, blocks, plots)


def bars(path, title, ylabel, labels, series, logarithmic=False):
    """Groups of bars, one group a label. series: list of (name, values in the labels' order)."""
    rows = [
        " ".join([f'"{label}"', *(f"{values[index]:g}" for _, values in series)])
        for index, label in enumerate(labels)
    ]
    plots = [
        f"$d0 using {index + 2}:xtic(1) lc rgb '{COLOURS[index % len(COLOURS)]}' title '{name}'"
        for index, (name, _) in enumerate(series)
    ]
    settings = (
        "set style data histogram\nset style histogram clustered gap 1\n"
        "set style fill solid 0.9 noborder\nset xtics rotate by -25\n"
    )
    settings += "set logscale y\nset yrange [100:*]\n" if logarithmic else "set yrange [0:*]\n"
    _draw(path, title, ylabel, settings, [_block(0, rows)], plots)


def _block(index, rows):
    return "\n".join([f"$d{index} << EOD", *rows, "EOD", ""])


def _draw(path, title, ylabel, settings, blocks, plots):
    if not available():
        raise BenchError("gnuplot is missing: apt install gnuplot-nox")
    head = HEAD.format(width=900, height=420, title=title, ylabel=ylabel)
    temporary = f"{path}.new"
    script = "".join([
        head, settings, *blocks, f"set output '{temporary}'\n", "plot ", ", \\\n  ".join(plots),
        "\n",
    ])
    result = subprocess.run(["gnuplot", "-"], input=script, text=True, capture_output=True,
                            check=False)
    if result.returncode:
        raise BenchError(f"gnuplot failed: {result.stderr.strip()}")
    os.replace(temporary, path)
