"""The report as Markdown."""

from .samples import BASELINE
from .stats import ratios, shown_spread
from .style import in_order
from .targets import NOT_MEASURED, ROUNDS_MIN, judge

QUICK, FORCE = "--quick", "--force"


def table(results, samples, micro, plots):
    """`plots`: file names relative to the report's folder."""
    sections = [["# Benchmark: ways from a virtual IP to its backends", "", *_header(results)],
                _targets(results, samples, micro), _plots(plots), _measures(samples), _micro(micro), _skipped(results)]
    return "\n".join(line for section in sections if section for line in [*section, ""])


def _header(results):
    machine = results["machine"]
    rows = {
        "date": results["started"],
        "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 2 ** 30:.0f} GiB",
        "kernel": machine["kernel"],
        "quiet": _quiet(machine.get("pauses")),
        "versions": "; ".join(f"{name}: {text}" for name, text in results["versions"].items()),
        "command": f"`{' '.join(filter(None, results['command']))}`",
        "rounds": f"{results['rounds']}, {results['seconds']:g} s a sample",
    }
    return ["| | |", "|---|---|", *(f"| {name} | {_cell(text)} |" for name, text in rows.items() if text)]


def _quiet(pauses):
    if not pauses:
        return None
    return (f"in {pauses['seconds']:g} s without load a CPU was taken away for up to {pauses['longest_ms']:.1f} ms, in all "
            f"for {pauses['share']:.2%} of the time; latencies beyond that are the machine's")


def _cell(text):
    return str(text).replace("|", "\\|")


def _why_no_verdict(results, rounds):
    if QUICK in results["command"]:
        return QUICK
    return f"{rounds} of {ROUNDS_MIN} rounds" if rounds < ROUNDS_MIN else None


def _targets(results, samples, micro):
    judged = judge(samples, micro)
    lines = ["## Targets", "",
             f"Medians, with the quartiles. Ratios and added latency are against {BASELINE} of the same round, unless "
             "another path is named; routed topology. The median decides. The bare limit is what a program that does "
             "nothing but accept makes of the same queues: the kernel interface's own price.", ""]
    if QUICK in results["command"] or results["rounds"] < ROUNDS_MIN:
        why = f"made with {QUICK}" if QUICK in results["command"] else \
            f"made with {results['rounds']} rounds"
        lines += [f"**No verdict:** these figures were {why}. A verdict needs at least {ROUNDS_MIN} rounds of full "
                  "length on an idle machine.", ""]
    if FORCE in results["command"]:
        lines += [f"**Made with {FORCE}:** nothing made sure that the machine was idle and the engine "
                  "optimised.", ""]
    lines += ["| what | path | backends | bound | measured | bare limit | outcome |", "|---|---|---|---|---|---|---|"]
    for each in judged:
        measured, outcome = "-", each.outcome
        unit = f" {each.target.unit}" if each.target.unit else ""
        limit = shown_spread(each.limit.values()) + unit if each.limit else ""
        if outcome != NOT_MEASURED:
            measured = shown_spread(each.values.values()) + unit
            why = _why_no_verdict(results, len(each.values))
            outcome = f"{outcome} (no verdict: {why})" if why else f"**{outcome}**"
        lines.append(f"| {each.target.title} | {each.target.path} | {each.backends:,} | {each.bound} | {measured} | {limit} | "
                     f"{outcome} |")
    return lines


def _plots(names):
    if not names:
        return None
    return ["## Plots", "", *(f"![{name}]({name})" for name in names)]


def _measures(samples):
    lines = ["## Measures", "", f"Medians, with the quartiles; ratios to {BASELINE} are taken within each round."]
    for measure in samples.measures():
        for setting in samples.settings(measure):
            for backends in samples.backends(measure, setting):
                lines += ["", f"### {measure}, {setting}, {backends} backends", "",
                          f"{samples.better[measure].capitalize()} is better.", "",
                          f"| path | {samples.units[measure]} | ratio to {BASELINE} |", "|---|---|---|"]
                baseline = samples.values(measure, setting, backends, BASELINE)
                for path in in_order(samples.paths(measure, setting, backends)):
                    values = samples.values(measure, setting, backends, path)
                    against = ratios(values, baseline).values()
                    lines.append(f"| {path} | {shown_spread(values.values())} | "
                                 f"{shown_spread(against) if against else '-'} |")
    return lines


def _micro(micro):
    if not micro.names():
        return None
    lines = ["## In memory", "", "CPU time by Google Benchmark, instructions by callgrind, for one operation.", "",
             "| benchmark | ns | instructions |", "|---|---|---|"]
    for name in micro.names():
        times, count = micro.nanoseconds(name), micro.instructions(name)
        lines.append(f"| {name} | {shown_spread(times.values()) if times else '-'} | "
                     f"{'-' if count is None else f'{count:,.1f}'} |")
    return lines


def _skipped(results):
    if not results["skipped"]:
        return None
    return ["## Skipped", "",
            *(f"- {each['path']}, {each['measure']}: {each['reason']}" for each in results["skipped"])]
