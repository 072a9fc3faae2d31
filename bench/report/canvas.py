"""What all plots share: fonts, axes, numbers on axes, and files that come out the same from the same data."""

import matplotlib

matplotlib.use("Agg")  # needs no display
from matplotlib import pyplot, ticker  # noqa: E402  the backend comes first

from .stats import shown  # noqa: E402

INK, FAINT = "#222222", "#dddddd"
FORMATS = {"svg": "Date", "png": "Software"}  # what of their metadata is left out

pyplot.rcParams.update({
    "font.family": "DejaVu Sans", "font.size": 13, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": "#888888", "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.titlesize": 14, "xtick.color": INK, "ytick.color": INK, "figure.dpi": 100, "savefig.dpi": 150,
    "svg.hashsalt": "nfsteer",  # names inside the SVG, random otherwise
})

TITLES = {
    "udp_new_flows": "New UDP flows, one sender",
    "udp_new_flows_all_cpus": "New UDP flows, a sender on every CPU",
    "http_connections": "HTTP connections",
    "http_cpu_per_connection": "CPU time of the machine per HTTP connection",
    "packets_per_connection": "Packets seen by the engine per connection",
    "engine_rss": "Resident memory",
    "latency_new_connection_p50": "Time to connect at half load, median",
    "latency_new_connection_p99": "Time to connect at half load, p99",
    "latency_new_connection_p999": "Time to connect at half load, p99.9",
    "tcp_throughput_1": "Throughput, 1 stream",
    "tcp_throughput_8": "Throughput, 8 streams",
    "rules_install": "Time to install the rules",
    "rules_change": "Time to change one backend's weight",
    "reload_one_change": "Time to reload a file with one change",
    "api_change": "Time of a change by the API",
    "api_read_services": "Time to read all services",
    "api_read_status": "Time to read the whole status",
    "api_read_backend": "Time to read one backend's status",
    "api_read_metrics": "Time to read the metrics",
}


def title_of(measure, topology):
    title = TITLES.get(measure, measure.replace("_", " "))
    return title if topology == "routed" else f"{title} ({topology})"


SECONDS = {"s": 1, "us": 1e-6}
SYMBOLS = {"bytes": "B", "bit/s": "bit/s"}


def with_unit(value, unit):
    if unit in SECONDS:
        seconds = abs(value) * SECONDS[unit]
        scale, name = (1, "s") if seconds >= 0.9995 else (1e3, "ms") if seconds >= 0.9995e-3 else (1e6, "µs")
        return f"{shown(value * SECONDS[unit] * scale)} {name}"
    text, symbol = shown(value), SYMBOLS.get(unit, unit)
    # "14.7 Gbit/s", but "14.7 k flows/s": prefixes belong to units that have symbols.
    return f"{text}{symbol}" if unit in SYMBOLS and text[-1].isalpha() else f"{text} {symbol}"


def times(ratio):
    return f"{ratio:.2f}×" if ratio >= 0.095 else f"{shown(ratio)}×"


def number_axis(axis, unit):
    """Numbers as in the table; times carry their unit."""
    axis.set_major_formatter(ticker.FuncFormatter(
        lambda value, _: with_unit(value, unit) if unit in SECONDS else shown(value)))


def count_axis(axis, counts):
    """Logarithmic, with a tick at each of these counts and nowhere else."""
    axis.set_major_locator(ticker.FixedLocator(counts))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_locator(ticker.NullLocator())


def name_rows(panels, paths, is_bold):
    """The rows of panels that stand side by side; the names at the first one's left."""
    panels[0].set_yticks(range(len(paths)), paths)
    panels[0].set_ylim(len(paths) - 0.5, -0.5)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    for label in panels[0].get_yticklabels():
        label.set_fontweight("bold" if is_bold(label.get_text()) else "normal")


def apart(wanted, gap):
    """Positions as near to the wanted ones as a gap between any two allows: names that would overlap move away from
    their common middle."""
    groups = []  # of neighbours that touch: [indices], middle
    for index in sorted(range(len(wanted)), key=lambda each: wanted[each]):
        group, middle = [index], wanted[index]
        while groups and middle - groups[-1][1] < gap * (len(group) + len(groups[-1][0])) / 2:
            group = groups.pop()[0] + group
            middle = sum(wanted[each] for each in group) / len(group)
        groups.append((group, middle))
    positions = [0.0] * len(wanted)
    for group, middle in groups:
        for place, index in enumerate(group):
            positions[index] = middle + gap * (place - (len(group) - 1) / 2)
    return positions


def heading(figure, title, note):
    """At the upper left corner, in inches from it, whatever the figure's size; the axes get the rest."""
    width, height = figure.get_size_inches()
    figure.text(0.15 / width, 1 - 0.34 / height, title, fontsize=18, fontweight="bold", va="center")
    figure.text(0.15 / width, 1 - 0.68 / height, note, fontsize=11.5, color="#555555", va="center")
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.85 / height))


def save(figure, folder, name):
    """Returns the SVG's name. No date and no program's version go into the files."""
    folder.mkdir(exist_ok=True)
    for kind, unset in FORMATS.items():
        figure.savefig(folder / f"{name}.{kind}", metadata={unset: None}, facecolor="white")
    pyplot.close(figure)
    return f"{name}.svg"
