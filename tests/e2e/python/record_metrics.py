"""Prints the metrics of functions' logs as CloudWatch would keep them: sum, least, greatest and number of values of each.

usage: record_metrics.py LOG ... > tests/e2e/tests/alarms/recorded/NAME.json, with the logs of one run, such as those of
`cargo tidemark drill outcomes-late --data-dir FOLDER` in FOLDER/drill/outcomes-late/logs

Only what has the dimension `function` alone: no alarm looks at the parts by reason or tier.
"""

import json
import sys


def values(line: str):
    """The metrics of one line of a log: function, name and values of each."""
    if not line.startswith('{"_aws"'):
        return
    said = json.loads(line)
    for directive in said["_aws"]["CloudWatchMetrics"]:
        if directive["Dimensions"] != [["function"]]:
            continue
        for metric in directive["Metrics"]:
            value = said[metric["Name"]]
            for one in value if isinstance(value, list) else [value]:
                yield said["function"], metric["Name"], one


def main() -> None:
    """Read, add up, print."""
    kept = {}
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                for function, name, value in values(line):
                    found = kept.setdefault(function, {}).setdefault(name, [0, value, value, 0])
                    found[:] = [found[0] + value, min(found[1], value), max(found[2], value), found[3] + 1]
    rounded = {
        function: {name: [round(value, 3) for value in found] for name, found in sorted(metrics.items())}
        for function, metrics in sorted(kept.items())
    }
    lines = [
        f' "{function}": {{\n' + ",\n".join(f'  "{name}": {json.dumps(found)}' for name, found in metrics.items()) + "\n }"
        for function, metrics in rounded.items()
    ]
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
