"""Writes the Parquet files of these tests, as pandas, Polars and DuckDB write them by default.

    pip install pandas pyarrow polars duckdb
    python make.py FOLDER
"""

import datetime
import decimal
import pathlib
import sys

import duckdb
import pandas
import polars

folder = pathlib.Path(sys.argv[1])

frame = pandas.DataFrame(
    {
        "Trans No": [900001, 900002, 900003],
        "PAN": ["c-1", "c-2", None],
        "clock": pandas.to_datetime(["2026-11-25 03:00:00.123456789", "1969-12-31 23:59:59", None], format="ISO8601").astype("datetime64[ns]"),
        "utc": pandas.to_datetime(["2026-11-25 03:00:00", "2026-11-25 04:00:00", "2026-11-25 05:00:00"]).tz_localize("Europe/Brussels"),
        "amount": [12.34, float("nan"), -0.1],
        "small": pandas.array([0.1, 0.2, 0.3], dtype="float32"),
        "fraud": [True, False, True],
        "count": pandas.array([1, None, 3], dtype="Int32"),
        "kind": pandas.Categorical(["a", "b", "a"]),
        "nested": [[1, 2], [], None],
    }
)
frame.to_parquet(folder / "pandas.parquet", engine="pyarrow", index=False)

polars.DataFrame(
    {
        "id": ["t1", "t2"],
        "when": [datetime.datetime(2026, 11, 25, 3, 0, 0, 5), datetime.datetime(1900, 1, 1)],
        "day": [datetime.date(2026, 11, 25), datetime.date(1, 1, 1)],
        "at": [datetime.time(23, 59, 59, 999), datetime.time(0, 0)],
        "amount": polars.Series([decimal.Decimal("1234.50"), decimal.Decimal("-0.07")], dtype=polars.Decimal(38, 2)),
        "place": [{"lat": 50.5, "lon": 4.25}, {"lat": None, "lon": 1.0}],
        "raw": [b"\xff\x00", b"text"],
    }
).write_parquet(folder / "polars.parquet")

duckdb.execute(
    "copy (select 9007199254740993::bigint as id, 12.3::decimal(9,2) as amount, timestamptz '2026-11-25 03:00:00+01' as t, "
    "time '01:02:03' as clock, 'é' as name, 18446744073709551615::ubigint as big, -5::tinyint as tiny, "
    "map {'a': 1} as m, null::varchar as nothing) to '" + str(folder / "duckdb.parquet") + "' (format parquet)"
)
