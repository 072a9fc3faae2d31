"""The plots: bars against in-kernel DNAT, cost against the number of backends, services and queues, latency percentiles.
Error bars are quartiles throughout. A plot without data is not drawn."""

from .canvas import (FAINT, INK, SECONDS, apart, count_axis, heading, name_rows, number_axis, pyplot, save, times,
                     title_of, with_unit)
from .samples import BASELINE
from .stats import ratios, spread
from .style import ENGINE, in_order, look

PANELS = (2, 1000)  # numbers of backends that bars and latencies are drawn for
GROWTH = {  # axis: {measure: scale}
    "backends": {"udp_new_flows": "linear", "http_connections": "linear", "rules_install": "log",
                 "rules_change": "log"},
    "services": {"udp_new_flows": "linear", "http_connections": "linear", "rules_install": "log",
                 "rules_change": "log"},
    "queues": {"udp_new_flows": "linear", "udp_new_flows_all_cpus": "linear", "http_connections": "linear",
               "tcp_throughput_8": "linear"},
}
LATENCIES = {"latency_new_connection_p50": ("p50", "o"), "latency_new_connection_p99": ("p99", "D"),
             "latency_new_connection_p999": ("p99.9", "^")}
ROOM_FOR_WORDS = 1.75  # of the longest bar, for the words at its end


def draw_all(samples, folder):
    """Writes every plot there is data for; returns the names of the SVG files."""
    names = []
    for measure in samples.measures():
        for topology in samples.topologies(measure):
            names.append(bars(samples, measure, topology, folder))
            names += [growth(samples, axis, measure, topology, scales[measure], folder)
                      for axis, scales in GROWTH.items() if measure in scales]
    first = next(iter(LATENCIES))
    names += [latencies(samples, first, topology, folder) for topology in samples.topologies(first)]
    return [each for each in names if each]


def _paths(samples, measure, topology, counts):
    return in_order({path for count in counts for path in samples.paths(measure, topology, count)})


def _panels(samples, measure, topology):
    counts = samples.backends(measure, topology)
    return [each for each in PANELS if each in counts] or counts[:1]


def _figure(panels, height):
    figure, axes = pyplot.subplots(1, len(panels), sharey=True, squeeze=False,
                                   figsize=(3.2 + 5.4 * len(panels), height))
    for axis, count in zip(axes[0], panels):
        axis.set_title(f"{count:,} backends", loc="left")
    return figure, axes[0]


def _is_bold(path):
    return path.startswith(ENGINE)


def _file(kind, measure, topology):
    return f"{kind}-{measure}" + ("" if topology == "routed" else f"-{topology}")


def _axis_name(unit):
    """Times carry their unit at each number."""
    return "" if unit in SECONDS else unit


def _errors(spreads):
    """As errorbar wants them."""
    return [[each.median - each.low for each in spreads], [each.high - each.median for each in spreads]]


def bars(samples, measure, topology, folder):
    """Ratios to the baseline within rounds; plain values where the baseline has none."""
    panels = _panels(samples, measure, topology)
    paths = _paths(samples, measure, topology, panels)
    against = BASELINE in paths
    if paths == [BASELINE]:
        return None
    figure, axes = _figure(panels, 2.1 + 0.42 * len(paths))
    for axis, count in zip(axes, panels):
        _bars(axis, {path: samples.values(measure, topology, count, path) for path in paths}, samples.units[measure],
              against)
        axis.grid(axis="x", color=FAINT)
        axis.set_xlabel(f"ratio to {BASELINE}" if against else _axis_name(samples.units[measure]))
        number_axis(axis.xaxis, None if against else samples.units[measure])
    name_rows(axes, paths, _is_bold)
    rounds = max(len(samples.values(measure, topology, count, path)) for count in panels for path in paths)
    quartiles = f"error bars: quartiles of {rounds} rounds" if rounds > 1 else "one round"
    shows = f"ratios to {BASELINE} within rounds, medians in brackets" if against else "medians"
    heading(figure, title_of(measure, topology), f"{samples.better[measure]} is better; {shows}; {quartiles}")
    return save(figure, folder, _file("bars", measure, topology))


def _bars(axis, by_path, unit, against):
    farthest = 0
    for row, (path, values) in enumerate(by_path.items()):
        drawn = ratios(values, by_path[BASELINE]) if against else values
        if not drawn:
            _beside(axis, 0, row, "not measured", "#888888")
            continue
        found = spread(drawn.values())
        axis.barh(row, found.median, height=0.68, color=look(path).colour)
        if len(drawn) > 1 and not (against and path == BASELINE):
            axis.errorbar(found.median, row, xerr=_errors([found]), color=INK, capsize=4, linewidth=1.3, zorder=4)
        text = with_unit(spread(values.values()).median, unit)
        _beside(axis, found.high, row, f"{times(found.median)}  ({text})" if against else text, INK)
        farthest = max(farthest, found.high)
    if against:
        axis.axvline(1, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=2.5)
    axis.set_xlim(0, ROOM_FOR_WORDS * (farthest or 1))


def _beside(axis, place, row, text, colour):
    axis.annotate(text, (place, row), xytext=(8, 0), textcoords="offset points", va="center", fontsize=11, color=colour,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5}, zorder=3)


def growth(samples, axis, measure, topology, scale, folder):
    settings = samples.along(axis, measure, topology)
    if len(settings) < 2:
        return None
    counts = list(settings)
    unit = samples.units[measure]
    figure, axes = pyplot.subplots(figsize=(11, 6.4))
    ends = {}  # the last value of each path
    varied = {path for setting in settings.items() if setting[0] != counts[0]
              for path in samples.paths(measure, *setting[1])}
    for path in in_order(varied):
        points = {count: spread(values.values()) for count, setting in settings.items()
                  if (values := samples.values(measure, *setting, path))}
        stands_out = _is_bold(path) or path == BASELINE
        axes.errorbar(list(points), [each.median for each in points.values()], yerr=_errors(points.values()),
                      color=look(path).colour, marker=look(path).marker, markersize=7, capsize=3, elinewidth=1,
                      linewidth=2.6 if stands_out else 1.6, zorder=3 if stands_out else 2)
        ends[path] = points[max(points)].median
    axes.set_xscale("log")
    axes.set_yscale(scale)
    if scale == "linear":
        axes.set_ylim(bottom=0)
    count_axis(axes.xaxis, counts)
    number_axis(axes.yaxis, unit)
    axes.grid(axis="y", color=FAINT)
    axes.set_xlabel(axis)
    axes.set_ylabel(_axis_name(unit))
    heading(figure, f"{title_of(measure, topology)}, by number of {axis}",
            f"{samples.better[measure]} is better; medians, error bars: quartiles")
    figure.subplots_adjust(right=0.8)
    _name_lines(figure, axes, ends)
    return save(figure, folder, _file(axis, measure, topology))


def _name_lines(figure, axes, ends):
    """Each line's name at the right edge, at the height of its last point as far as the names leave room."""
    to_points = 72 / figure.dpi
    heights = [axes.transData.transform((1, value))[1] * to_points for value in ends.values()]
    edge = axes.transAxes.transform((1, 0))[0] * to_points
    for path, height in zip(ends, apart(heights, gap=19)):
        axes.annotate(path, (edge + 12, height), xycoords="figure points", va="center", color=look(path).colour,
                      fontsize=12, fontweight="bold" if _is_bold(path) or path == BASELINE else "normal",
                      annotation_clip=False)


def latencies(samples, first, topology, folder):
    """`first`: the measure that tells which paths and numbers of backends there are."""
    panels = _panels(samples, first, topology)
    paths = _paths(samples, first, topology, panels)
    figure, axes = _figure(panels, 2.7 + 0.5 * len(paths))
    for axis, count in zip(axes, panels):
        for row, path in enumerate(paths):
            found = [(spread(values.values()), marker) for measure, (_, marker) in LATENCIES.items()
                     if (values := samples.values(measure, topology, count, path))]
            axis.plot([each.median for each, _ in found], [row] * len(found), color=look(path).colour, linewidth=5,
                      alpha=0.3, solid_capstyle="round")
            for each, marker in found:
                axis.errorbar(each.median, row, xerr=_errors([each]), color=look(path).colour, marker=marker,
                              markersize=9, capsize=4, linewidth=1.3)
        axis.set_xscale("log")
        number_axis(axis.xaxis, samples.units[first])
        axis.grid(axis="x", which="both", color=FAINT, linewidth=0.6)
        axis.set_xlabel("time until connected")
    axes[0].set_xlim(min(axis.get_xlim()[0] for axis in axes), max(axis.get_xlim()[1] for axis in axes))
    for axis in axes[1:]:
        axis.set_xlim(axes[0].get_xlim())
    name_rows(axes, paths, _is_bold)
    keys = [pyplot.Line2D([], [], color=INK, marker=marker, linestyle="none", markersize=9, label=name)
            for name, marker in LATENCIES.values()]
    axes[-1].legend(handles=keys, loc="lower right", bbox_to_anchor=(1, 1), ncol=3, frameon=False, handletextpad=0.2,
                    columnspacing=1.2, borderpad=0)
    heading(figure, title_of("Time to connect at half load", topology),
            f"at half of what {BASELINE} does, the same rate for all; medians, error bars: quartiles")
    return save(figure, folder, _file("latency", "percentiles", topology))
