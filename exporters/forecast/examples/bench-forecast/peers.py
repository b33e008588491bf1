"""Forecasts of the same series by statsforecast (MSTL with AutoETS) and Prophet, as both come, at every fourth origin, and the memory of each,
as JSON.

    peers.py FOLDER OUTPUT
"""
import json, logging, multiprocessing, os, resource, sys, time, warnings

warnings.filterwarnings("ignore")
for name in ("cmdstanpy", "prophet"):
    logging.getLogger(name).setLevel(logging.ERROR)
import numpy, pandas

EVERY = int(os.environ.get("EVERY", "4"))


def statsforecast(frame, day, step):
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS, MSTL

    model = StatsForecast(models=[MSTL(season_length=[day, 7 * day], trend_forecaster=AutoETS(model="ZZN"))], freq=f"{step}s", n_jobs=1)
    told = model.forecast(df=frame, h=day, level=[90])
    return told["MSTL"], told["MSTL-lo-90"], told["MSTL-hi-90"]


def prophet(frame, day, step):
    from prophet import Prophet

    model = Prophet(interval_width=0.9)
    model.fit(frame[["ds", "y"]])
    told = model.predict(model.make_future_dataframe(periods=day, freq=f"{step}s", include_history=False))
    return told["yhat"], told["yhat_lower"], told["yhat_upper"]


def of_model(folder, tell, output):
    """All series by one model, in a process of its own, whose memory is measured."""
    written = []
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".csv"):
            continue
        of, name = file[:-4].split("--", 1)
        lines = open(os.path.join(folder, file)).read().split("\n")
        step, begin = map(int, lines[0].split())
        origins = list(map(int, lines[1].split()))[::EVERY]
        values = numpy.array([float(line) if line else numpy.nan for line in lines[2:]][: len(lines) - 3])
        day = 86400 // step
        for origin in origins:
            history = pandas.Series(values[origin - 28 * day : origin]).interpolate(limit_direction="both").to_numpy()
            begins = pandas.to_datetime(begin + step * (origin - 28 * day), unit="s")
            frame = pandas.DataFrame({"unique_id": "a", "ds": pandas.date_range(begins, periods=len(history), freq=f"{step}s"), "y": history})
            before = time.process_time()
            children = os.times()
            try:
                point, low, high = tell(frame, day, step)
            except Exception as error:  # What it cannot do is left out and said.
                print(file, origin, tell.__name__, error, file=sys.stderr)
                continue
            after = os.times()
            took = time.process_time() - before + after.children_user - children.children_user
            lists = [[float(value) for value in part] for part in (point, low, high)]
            if not all(numpy.isfinite(part).all() for part in lists):
                print(file, origin, tell.__name__, "is not finite", file=sys.stderr)
                continue
            written.append(dict(set=of, name=name, origin=origin, model=tell.__name__, point=lists[0], low=lists[1], high=lists[2], cpu=took))
        print(tell.__name__, file, len(origins), flush=True)
    # Prophet's own work is a program of its own.
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    json.dump((written, kilobytes / 1e3), open(output, "w"))


def main(folder, output):
    forecasts, megabytes = [], {}
    for tell in (statsforecast, prophet):
        part = f"{output}.{tell.__name__}"
        process = multiprocessing.get_context("spawn").Process(target=of_model, args=(folder, tell, part))
        process.start()
        process.join()
        written, megabytes[tell.__name__] = json.load(open(part))
        forecasts += written
    json.dump(dict(forecasts=forecasts, megabytes=megabytes), open(output, "w"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
