"""A Flink job beside Tidemark over the same events: what each takes on the processor, once both have counted the same.

usage: compare.py BIN HOME [--events N] [--cards N] [--json]

The job (Cards.java) is what both do: each event of a card once, whatever came twice, its count of the last hour and day as of its own time, and the
card's count and sum. Tidemark does more (score, decision, reasons, profiles, labels, quarantine, an audit), and the job nothing of that. The stream is the
one that `bench durable` sends; Flink and `tidemark score` read it from a file. Totals of every card must be those of a naive count
for Flink and for Tidemark, and counts of hour and day must be equal for each event, or the script ends with 1.

Flink keeps its state in its own process (in its heap, or in RocksDB) and copies it into files each second, exactly once, and its outcomes become
visible with such a copy. Tidemark's state is in a table: the figure is of the function's processes alone, with all their calls over HTTP,
without the local AWS that answers them; the table's units come on top, as a cluster's hours do for Flink. `tidemark score` keeps no state beyond its run. Flink's time
has the start of its machine in it, told apart by a run over an empty file.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

JAVA = [
    "java", "--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED", "-Xmx2g",
    "-Dlog4j2.level=ERROR",
]


def timed(command: list, folder: Path, code_max: int = 0) -> tuple:
    """What it printed, and its seconds of processor and by the clock, and its most memory in MB."""
    times = folder / "times"
    ran = subprocess.run(
        ["time", "--format", "%e %U %S %M", "--output", str(times), *map(str, command)], capture_output=True, text=True
    )
    if not 0 <= ran.returncode <= code_max:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {ran.returncode}:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    # A code other than 0 stands in a line before.
    wall, user, system, peak_kb = map(float, times.read_text().splitlines()[-1].split())
    return ran.stdout, {"cpu_s": user + system, "wall_s": wall, "peak_mb": peak_kb * 1024 / 1e6}


def naive(lines) -> dict:
    """Count and sum of each card, each event once."""
    seen, cards = set(), {}
    for line in lines:
        event = json.loads(line)
        if event["schema"] != "transaction":
            continue
        key = (event["card_id"], event["event_id"], event["occurred_at_ms"])
        if key not in seen:
            seen.add(key)
            count, total = cards.get(key[0], (0, 0))
            cards[key[0]] = (count + 1, total + event["amount_minor"])
    return cards


def by_flink(home: Path, folder: Path, events: Path, backend: str) -> tuple:
    """Its times, each card's last total, and each event's windows."""
    output, checkpoints = folder / "flink-out", folder / "flink-checkpoints"
    for old in (output, checkpoints):
        shutil.rmtree(old, ignore_errors=True)
    classes = f"{home / 'classes'}:{home / 'jars'}/*"
    _, took = timed([*JAVA, "-cp", classes, "Cards", events, output, checkpoints, backend], folder)
    totals, windows = {}, {}
    for part in sorted(output.rglob("part-*")):
        for line in part.read_text().splitlines():
            card, event, time_ms, hour, day, _, count, total = line.split("\t")
            totals[card] = max(totals.get(card, (0, 0)), (int(count), int(total)))
            if (card, event, int(time_ms)) in windows:
                raise SystemExit(f"Flink counted {event} of {card} twice")
            windows[(card, event, int(time_ms))] = (int(hour), int(day))
    return took, totals, windows


def by_score(tidemark: Path, folder: Path, events: Path) -> tuple:
    outcomes = folder / "outcomes.jsonl"
    # 1: something was refused, as a label is whose event the stream ends before. Counts are compared below.
    _, took = timed([tidemark, "score", "-i", events, "-o", outcomes, "--features", "--json"], folder, code_max=1)
    with outcomes.open() as lines:
        windows = {}
        for outcome in map(json.loads, lines):
            features = outcome["features"]
            windows[(outcome["card_id"], outcome["event_id"], outcome["occurred_at_ms"])] = (
                features["count_1h"], features["count_1d"],
            )
    return took, windows


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bin", type=Path)
    arguments.add_argument("home", type=Path)
    arguments.add_argument("--events", type=int, default=1_020_000)
    arguments.add_argument("--cards", type=int, default=10_000)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    folder = given.home / "run"
    folder.mkdir(exist_ok=True)
    events, none = folder / "events.jsonl", folder / "none.jsonl"
    none.write_text("")
    told, durable = timed([given.bin / "bench", "durable", given.events, given.cards, "--jsonl", events], folder)
    durable.update(json.loads(told))
    with events.open() as lines:
        expected = naive(lines)
    score, windows = by_score(given.bin / "tidemark", folder, events)
    counted = {}
    for card, _, _ in windows:
        counted[card] = counted.get(card, 0) + 1
    # `bench durable` ends with an error unless each event has one outcome.
    rows = {
        "Tidemark, its functions": {"cpu_s": durable["function_cpu_s"], "equal": durable["outcomes"] == len(windows)},
        "Tidemark, `score` on a file": {**score, "equal": counted == {card: count for card, (count, _) in expected.items()}},
    }
    for backend in ("hashmap", "rocksdb"):
        start, _, _ = by_flink(given.home, folder, none, backend)
        took, totals, flink_windows = by_flink(given.home, folder, events, backend)
        differ = sum(windows.get(key) != of_flink for key, of_flink in flink_windows.items())
        rows[f"Flink, {'heap' if backend == 'hashmap' else 'RocksDB'}"] = {
            **took, "start_cpu_s": start["cpu_s"], "equal": totals == expected and len(windows) == len(flink_windows) and differ == 0,
            "windows_differ": differ,
        }
    report = {"events": sum(count for count, _ in expected.values()), "cards": len(expected), "peers": rows}
    if given.json:
        print(json.dumps(report))
    else:
        print(f"{report['events']} different events of {report['cards']} cards\n")
        print("| | counts and sums | processor, s | of these its start, s | µs an event |\n|---|---|---:|---:|---:|")
        for name, row in rows.items():
            start = f"{row['start_cpu_s']:.1f}" if "start_cpu_s" in row else "not told"
            print(
                f"| {name} | {'equal' if row['equal'] else 'DIFFER'} | {row['cpu_s']:.1f} | {start} | "
                f"{row['cpu_s'] / report['events'] * 1e6:.0f} |"
            )
    return 0 if all(row["equal"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
