"""Computes the figures of a month by another way, to hold sotp-reporter against.

usage: oracle.py make  SEED CASES DEVICES FOLDER      (a SEED from 9000 on: months in which the clock is changed, with work over their edges)
       oracle.py check SEED CASES DEVICES FOLDER

`make` invents histories and writes those of each case as OpenMetrics (FOLDER/case-N.om, for promtool) with its configuration
(FOLDER/case-N.yaml, FOLDER/case-N.month), without the address of Prometheus. `check` invents the same ones again, asks at each moment
at which an answer may change what holds, adds up in whole milliseconds and fractions, and compares that with the CSV and the
manifest in FOLDER/out-N. It reads nothing else that sotp-reporter made, and has the time zones from Python's zoneinfo.
"""

import bisect
import csv
import datetime
import itertools
import json
import pathlib
import random
import sys
from fractions import Fraction
from zoneinfo import ZoneInfo

MONTHS = [
    (2025, 10), (2025, 3), (2024, 11), (2024, 2), (2025, 4), (2024, 7), (2023, 10), (2023, 3), (2023, 12), (2023, 6),
]
# Months in which the clock is changed, at midnight in São Paulo and by half an hour on Lord Howe; Kathmandu is 5:45 ahead all the year.
CHANGES = [
    ((2025, 10), "Europe/Warsaw"), ((2018, 11), "America/Sao_Paulo"), ((2025, 4), "Australia/Lord_Howe"), ((2025, 4), "Asia/Kathmandu"),
    ((2025, 3), "Europe/Warsaw"), ((2019, 2), "America/Sao_Paulo"), ((2024, 10), "Australia/Lord_Howe"), ((2024, 2), "Asia/Kathmandu"),
]
ZONES = ["Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu", "America/St_Johns"]
TARGET = Fraction(999, 1000)
MINUTE = 60_000


def edge(year, month, zone):
    """The first midnight of a month, in milliseconds."""
    when = datetime.datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=ZoneInfo(zone))
    return round(when.timestamp() * 1000)


def invent(chance, start, end):
    """Samples of a series: stretches of one value with pauses between them."""
    samples = {}
    at = start - 1440 * MINUTE + chance.randrange(60_000)
    while at < end + 1440 * MINUTE and len(samples) < 4_000:
        step = chance.choice([15_000, 30_000, 60_000, 60_000, 120_000]) + chance.randrange(500)
        value = chance.choices([1, 0, float("nan")], [70, 25, 5])[0]
        for _ in range(chance.randrange(1, 200)):
            samples[at] = value
            at += step
        # Mostly it goes on at once, now and then after minutes, hours or a day.
        at += chance.choice([0, 0, 0, MINUTE, 20 * MINUTE, 300 * MINUTE, 1500 * MINUTE])
    return sorted(samples.items())


def world(seed, cases, devices):
    chance = random.Random(seed)
    found = []
    changes = seed >= 9_000
    months = CHANGES[:cases] if changes else [(month, None) for month in chance.sample(MONTHS, cases)]
    for number, ((year, month), zone) in enumerate(months):
        zone = zone or chance.choice(ZONES)
        start, end = edge(year, month, zone), edge(year, month + 1, zone)
        own = []
        for index in range(devices):
            name = f"c{number}d{index}"
            pings = [invent(chance, start, end) for _ in range(chance.choice([1, 1, 2]))]
            plans = [invent(chance, start, end) for _ in range(chance.choice([0, 1]))]
            if changes:
                # Work that is under way while the month begins and while it ends.
                plans.append([
                    (at, 1) for edge in (start, end) for at in range(edge - chance.randrange(3, 400) * MINUTE, edge + 200 * MINUTE, MINUTE)
                ])
            own.append((name, chance.choice(["waw", "krk", ""]), chance.choice(["router", "switch"]), pings, plans))
        stale = chance.choice([45_000, 90_000, 120_000, 301_500])
        services = [
            (f"s{number}{needs}", needs, sorted({f"c{number}d{chance.randrange(devices)}" for _ in range(2)}))
            for needs in ("all", "any")
        ]
        services.append((f"s{number}stranger", "any", [f"c{number}d0", "nobody"]))
        found.append(dict(year=year, month=month, zone=zone, start=start, end=end, stale=stale, devices=own, services=services))
    return found


def make(cases, folder):
    for number, case in enumerate(cases):
        with open(folder / f"case-{number}.om", "w") as out:
            for metric, which in (("ping_up", 3), ("sotp_device_maintenance", 4)):
                out.write(f"# TYPE {metric} gauge\n")
                for device in case["devices"]:
                    name, site, role = device[:3]
                    for family, samples in enumerate(device[which]):
                        labels = f'device="{name}",site="{site}",role="{role}",family="{family}"'
                        for at, value in samples:
                            text = "NaN" if value != value else value
                            out.write(f"{metric}{{{labels}}} {text} {at // 1000}.{at % 1000:03}\n")
            out.write("# EOF\n")
        (folder / f"case-{number}.month").write_text(f"{case['year']}-{case['month']:02}")
        services = ", ".join(
            f"{{name: {name}, needs: {needs}, devices: [{', '.join(devices)}]}}" for name, needs, devices in case["services"]
        )
        (folder / f"case-{number}.yaml").write_text(
            f"time_zone: {case['zone']}\nstale_after: {case['stale']}ms\nservices: [{services}]\n"
        )


class Line:
    """What a series says at a time: its newest sample, unless that is too old."""

    def __init__(self, samples, stale):
        self.times = [at for at, _ in samples]
        self.values = [value for _, value in samples]
        self.stale = stale

    def at(self, time):
        place = bisect.bisect_right(self.times, time) - 1
        if place < 0 or time - self.times[place] >= self.stale:
            return None
        value = self.values[place]
        return None if value != value else value

    def changes(self):
        return itertools.chain(self.times, (at + self.stale for at in self.times))


def pieces(device, case):
    """(from, to, state, planned) of a device, looked up between every two moments at which that may change."""
    lines = [Line(samples, case["stale"]) for samples in device[3]]
    plans = [Line(samples, case["stale"]) for samples in device[4]]
    edges = {case["start"], case["end"]}
    for line in lines + plans:
        edges.update(at for at in line.changes() if case["start"] < at < case["end"])
    merged = []
    for begin, end in itertools.pairwise(sorted(edges)):
        said = [line.at(begin) for line in lines]
        state = "up" if 1 in said else "down" if 0 in said else "unknown"
        planned = any(line.at(begin) == 1 for line in plans)
        if merged and merged[-1][2:] == (state, planned):
            merged[-1] = (merged[-1][0], end, state, planned)
        else:
            merged.append((begin, end, state, planned))
    return merged


def zero():
    return dict(up=0, down=0, unknown=0, planned=0, planned_down=0)


def add(totals, length, state, planned):
    if planned:
        totals["planned"] += length
        totals["planned_down"] += length if state == "down" else 0
    else:
        totals[state] += length


def overlay(lists, each):
    """Calls `each` with a length and what holds for all of them at once."""
    edges = sorted({edge for one in lists for piece in one for edge in piece[:2]})
    begins = [[piece[0] for piece in one] for one in lists]
    for begin, end in itertools.pairwise(edges):
        each(end - begin, [one[bisect.bisect_right(starts, begin) - 1][2:] for one, starts in zip(lists, begins)])


def incidents_of(name, parts):
    found = []
    for place, (begin, end, state, planned) in enumerate(parts):
        if state != "down" or planned:
            continue
        following = parts[place + 1] if place + 1 < len(parts) else None
        if following is None:
            ended = "end of month"
        elif following[3]:
            ended = "maintenance"
        else:
            ended = following[2]
        found.append((name, begin, end, place == 0, ended))
    return found


def utc(at):
    seconds, rest = divmod(at, 1000)
    text = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{rest:03}".rstrip("0") if rest else "") + "Z"


class Compare:
    def __init__(self):
        self.checked = 0

    def number(self, what, text, expected, bound):
        self.checked += 1
        if expected is None:
            assert text == "", f"{what}: expected nothing, found {text}"
        else:
            assert text != "", f"{what}: expected {float(expected)}, found nothing"
            assert abs(Fraction(text) - expected) <= bound, f"{what}: expected {float(expected)}, found {text}"

    def totals(self, what, row, totals):
        known = totals["up"] + totals["down"]
        share = lambda part, whole: Fraction(part, whole) if whole else None
        close = Fraction(1, 10**9)
        self.number(what, row["availability_ratio"], share(totals["up"], known), close)
        self.number(what, row["worst_case_ratio"], share(totals["up"], known + totals["unknown"]), close)
        left = known * (1 - TARGET) - totals["down"]
        self.number(what, row["error_budget_left_seconds"], left / 1000, Fraction(6, 10_000))
        for column, key in (
            ("up_seconds", "up"),
            ("down_seconds", "down"),
            ("unknown_seconds", "unknown"),
            ("maintenance_seconds", "planned"),
            ("maintenance_down_seconds", "planned_down"),
        ):
            self.number(f"{what} {column}", row[column], Fraction(totals[key], 1000), 0)
        meets = "" if not known else "yes" if Fraction(totals["up"], known) >= TARGET else "no"
        assert row["meets_target"] == meets, f"{what}: meets_target"

    def reliability(self, what, row, incidents, up):
        begun = [one for one in incidents if not one[3]]
        repaired = [one[2] - one[1] for one in begun if one[4] == "up"]
        assert int(row["failures"]) == len(begun), f"{what}: failures"
        close = Fraction(1, 10**6)
        mean = Fraction(sum(repaired), 1000 * len(repaired)) if repaired else None
        self.number(f"{what} mttr", row["mttr_seconds"], mean, close)
        self.number(f"{what} mtbf", row["mtbf_seconds"], Fraction(up, 1000 * len(begun)) if begun else None, close)


def table(folder, name, key):
    with open(folder / name, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return rows if key is None else {row[key]: row for row in rows}


def check(cases, folder):
    compare = Compare()
    for number, case in enumerate(cases):
        out = folder / f"out-{number}"
        what = f"{case['year']}-{case['month']:02} {case['zone']} stale {case['stale']}"
        # Everybody who has a sample of ping_up in the month is in it.
        devices = {}
        for device in case["devices"]:
            inside = sum(case["start"] <= at < case["end"] for samples in device[3] for at, _ in samples)
            if inside:
                devices[device[0]] = (device, pieces(device, case), inside)
        network, sites, roles, incidents, works = zero(), {}, {}, [], []
        rows = table(out, "devices.csv", "device")
        assert set(rows) == set(devices), f"{what}: {sorted(rows)} instead of {sorted(devices)}"
        for name, (device, parts, samples) in devices.items():
            totals = zero()
            for begin, end, state, planned in parts:
                for one in (totals, network, sites.setdefault(device[1], [zero(), [], []])[0], roles.setdefault(device[2], [zero(), [], []])[0]):
                    add(one, end - begin, state, planned)
            own = incidents_of(name, parts)
            incidents += own
            for group in (sites[device[1]], roles[device[2]]):
                group[1].append(parts)
                group[2].extend(own)
            for planned, run in itertools.groupby(parts, key=lambda part: part[3]):
                run = list(run)
                if planned:
                    down = sum(part[1] - part[0] for part in run if part[2] == "down")
                    unknown = sum(part[1] - part[0] for part in run if part[2] == "unknown")
                    works.append((name, utc(run[0][0]), utc(run[-1][1]), Fraction(down, 1000), Fraction(unknown, 1000)))
            compare.totals(f"{what} {name}", rows[name], totals)
            compare.reliability(f"{what} {name}", rows[name], own, totals["up"])
            assert int(rows[name]["samples"]) == samples, f"{what} {name}: samples"
            assert int(rows[name]["incidents"]) == len(own), f"{what} {name}: incidents"
            longest = max((one[2] - one[1] for one in own), default=0)
            compare.number(f"{what} {name}", rows[name]["longest_incident_seconds"], Fraction(longest, 1000), 0)
        for file, key, groups in (("sites.csv", "site", sites), ("roles.csv", "role", roles)):
            rows = table(out, file, key)
            assert set(rows) == set(groups), f"{what}: {file}"
            for name, (totals, lists, own) in groups.items():
                outage = 0

                def look(length, held):
                    nonlocal outage
                    counted = [state for state, planned in held if not planned]
                    outage += length if "down" in counted and "up" not in counted else 0

                overlay(lists, look)
                compare.totals(f"{what} {file} {name}", rows[name], totals)
                compare.reliability(f"{what} {file} {name}", rows[name], own, totals["up"])
                compare.number(f"{what} {file} {name} outage", rows[name]["outage_seconds"], Fraction(outage, 1000), 0)
                assert int(rows[name]["devices"]) == len(lists)
        rows = table(out, "services.csv", "service")
        for name, needs, members in case["services"]:
            totals = zero()
            nothing = [(case["start"], case["end"], "unknown", False)]
            lists = [devices[member][1] if member in devices else nothing for member in members]

            def look(length, held):
                counted = [state for state, planned in held if not planned]
                order = ("down", "unknown", "up") if needs == "all" else ("up", "unknown", "down")
                state = next((one for one in order if one in counted), "unknown")
                add(totals, length, state, not counted)

            overlay(lists, look)
            compare.totals(f"{what} service {name}", rows[name], totals)
        told = sorted(
            (row["device"], row["start"], row["end"], row["began_before_month"] == "yes", row["ended_with"])
            for row in table(out, "incidents.csv", None)
        )
        expected = sorted((name, utc(begin), utc(end), before, ended) for name, begin, end, before, ended in incidents)
        assert told == expected, f"{what}: incidents {set(told) ^ set(expected)}"
        told = sorted(
            (row["device"], row["start"], row["end"], Fraction(row["down_seconds"]), Fraction(row["unknown_seconds"]))
            for row in table(out, "maintenance.csv", None)
        )
        assert told == sorted(works), f"{what}: maintenance {set(told) ^ set(works)}"
        manifest = json.loads((out / "manifest.json").read_text())
        assert manifest["milliseconds"] == network, f"{what}: {manifest['milliseconds']} instead of {network}"
        assert (manifest["start"], manifest["end"]) == (utc(case["start"]), utc(case["end"])), f"{what}: edges"
        assert manifest["incidents"] == len(incidents) and manifest["missing"] == [], what
    histories = sum(len(case["devices"]) for case in cases)
    print(f"{histories} histories of devices in {len(cases)} months: {compare.checked} figures are the same")


def main():
    what, seed, cases, devices, folder = sys.argv[1:]
    found = world(int(seed), int(cases), int(devices))
    (make if what == "make" else check)(found, pathlib.Path(folder))


main()
