"""What the runs did: schemathesis_table.py <description> <user>=<events of the run, NDJSON>…

Per user and phase: the operations that were asked, those of them that did what they were asked at least once (2xx), the cases, and
how many pairs of operation and check failed.
"""

import json
import sys

document = json.load(open(sys.argv[1]))
known = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
PHASES = ("examples", "coverage", "fuzzing", "stateful")
print(f"\n{'user':14} {'phase':10} {'operations':>10} {'with a 2xx':>10} {'cases':>8} {'failures':>8}")
asked, done, everything, bad = set(), set(), 0, 0


def line(user, phase, operations, succeeded, cases, failures):
    print(f"{user:14} {phase:10} {len(operations):10} {len(succeeded):10} {cases:8} {failures:8}")


for user, path in (argument.split("=", 1) for argument in sys.argv[2:]):
    for phase in PHASES:
        operations, succeeded, failed, cases = set(), set(), set(), 0
        for event in map(json.loads, open(path)):
            scenario = event.get("ScenarioFinished")
            if not scenario or scenario["phase"] != phase:
                continue
            recorder = scenario["recorder"]
            names = {}
            for case, entry in recorder.get("cases", {}).items():
                names[case] = f"{entry['value']['method']} {entry['value']['path']}"
            interactions = recorder.get("interactions", {})
            cases += len(interactions)
            for case, interaction in interactions.items():
                operations |= known & {names.get(case)}
                if 200 <= ((interaction.get("response") or {}).get("status_code") or 0) < 300:
                    succeeded |= known & {names.get(case)}
            for case, checks in recorder.get("checks", {}).items():
                failed |= {(names.get(case), c["name"]) for c in checks if c["status"] == "failure"}
        line(user, phase, operations, succeeded, cases, len(failed))
        asked, done, everything, bad = asked | operations, done | succeeded, everything + cases, bad + len(failed)
line("all", "all", asked, done, everything, bad)
print(f"\n{len(asked)} of {len(known)} operations were asked. Never with a 2xx:", ", ".join(sorted(known - done)) or "none")
